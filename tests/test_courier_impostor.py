"""Who stands in the place of the county's broker, without its certificate, is told nothing at all."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.courier import Address
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.county import WINDOW
from tests.ground_courier.waiting import until
from tests.ground_courier.window import Window

CERTIFICATES = Path(__file__).parents[1] / "firmware_config/county/certificates"
HERE = "127.1"
"""This machine by a name that stands in no certificate."""
TLS = "cafile {it}/ca.crt\ncertfile {it}/broker.crt\nkeyfile {it}/broker.key\n"


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def authority(place: Path, name: str, host: str) -> Path:
    """An authority, with a broker's certificate for a host and the window's own."""
    place.mkdir()
    for command in (["authority", name], ["broker", host], ["sign", WINDOW]):
        subprocess.run([CERTIFICATES, "-d", place, *command], check=True, capture_output=True)
    return place


@pytest.mark.parametrize("who", ["of another authority", "with a certificate for another host", "without TLS"])
def test_another_in_the_broker_s_place_is_told_nothing(who: str, tmp_path: Path, ends: ExitStack) -> None:
    county = authority(tmp_path / "county", "平江县", "127.0.0.1")
    liar = county if "host" in who else authority(tmp_path / "liar", "平江县", "127.0.0.1")
    broker = Mosquitto(
        tmp_path,
        more=f"log_dest file {tmp_path}/said\nuser root\n" + ("" if who == "without TLS" else TLS.format(it=liar)),
    )
    broker.start()
    ends.callback(broker.kill)
    files = (county / "ca.crt", county / f"{WINDOW}.crt", county / f"{WINDOW}.key")
    host = HERE if "host" in who else "127.0.0.1"
    address = Address(host=host, port=broker.port, ca_file=files[0], cert_file=files[1], key_file=files[2])
    window = Window(tmp_path, broker.port, address=address)
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    window.commit(3)
    window.start()
    journal = tmp_path / "said"
    until(
        lambda: journal.exists() and journal.read_text(errors="replace").count("New connection") > 2,
        "it is tried again and again",
    )
    assert not window.courier.link().connected
    assert window.courier.link().depth == 3
    assert f"as {WINDOW}" not in journal.read_text(errors="replace"), "nobody was greeted"
