"""The line to the broker: what breaks it is noticed, rested over and mended; what is our own fault ends the process."""

import os
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import wire
from appliance.courier import Address, Courier, Pace
from appliance.courier.line import OWED, Line, Stage, Will
from appliance.window.moment import CHINA
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.cable import Cable
from tests.ground_courier.county import WINDOW, County, never
from tests.ground_courier.odd_servers import CONNACK, NOT_AUTHORISED, OddServer
from tests.ground_courier.waiting import free_port, stays, until
from tests.ground_courier.window import QUICK, Window, health, status

CERTIFICATES = Path(__file__).parents[1] / "firmware_config/county/certificates"
PRESENCE = wire.window_topic(WINDOW, "presence")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def county(broker: Mosquitto) -> Iterator[County]:
    one = County(broker.port)
    yield one
    one.close()


@pytest.fixture
def cable(broker: Mosquitto) -> Iterator[Cable]:
    one = Cable(broker.port)
    yield one
    one.close()


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def started(ends: ExitStack, place: Path, port: int, pace: Pace = QUICK, address: Address | None = None) -> Window:
    """A window whose courier runs and is stopped at the end of the test."""
    place.mkdir(exist_ok=True)
    window = Window(place, port, pace, address=address)
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    return window.start()


def sessions(county: County) -> list[tuple[bool, int]]:
    """What was said of the window's presence, in order."""
    said = [msgspec.json.decode(payload, type=wire.Presence) for topic, payload in county.history if topic == PRESENCE]
    return [(one.online, one.session) for one in said]


def says(county: County, online: bool, session: int) -> bool:
    """Whether the window was ever heard so."""
    return (online, session) in sessions(county)


def test_the_will_is_said_when_the_cable_is_cut_and_the_session_goes_up(
    tmp_path: Path, county: County, cable: Cable, ends: ExitStack
) -> None:
    started(ends, tmp_path, cable.port)
    first = county.sees_online().session
    for session in (first, first + 1, first + 2):
        until(partial(says, county, True, session), f"online in session {session}")
        cable.cut()
        until(partial(says, county, False, session), f"the will of session {session}")
        cable.plug_in()


def test_the_session_goes_up_over_a_restart_of_the_window(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, broker.port)
    session = county.sees_online().session
    window.stop()
    assert county.sees_online(False).session == session
    window.again()
    assert county.sees_online().session == session + 1


def test_a_clean_end_says_offline_itself_and_leaves_it_retained(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, broker.port)
    session = county.sees_online().session
    window.stop()
    last = county.sees_online(False)
    assert last.at is not None, "our own word has a time; the will has none"
    assert sessions(county) == [(True, session), (False, session)]
    late = County(broker.port)
    late.sees_online(False)
    late.close()


def test_a_half_open_link_is_noticed_and_replaced(
    tmp_path: Path, county: County, cable: Cable, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, cable.port, msgspec.structs.replace(QUICK, keepalive=1, silence=1.0))
    county.sees_online()
    cable.stall()
    window.commit(3)
    until(lambda: window.courier.link().trouble == "lost", "a second of silence is enough", 5)
    cable.plug_in()
    until(lambda: window.ledger.backlog()[0] == 0, "the facts arrive over a new link")


def test_a_broker_that_hangs_is_noticed(tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack) -> None:
    window = started(ends, tmp_path, broker.port, msgspec.structs.replace(QUICK, keepalive=1, silence=1.0))
    county.sees_online()
    broker.hang()
    until(lambda: window.courier.link().trouble == "lost", "a keep-alive and a second of silence are enough", 5)
    until(lambda: window.courier.link().trouble == "unanswered", "a hanging broker greets nobody", 10)
    broker.go_on()
    until(lambda: window.courier.link().connected, "and it is found again when it goes on")


def test_nobody_there_is_unreachable_and_tried_again_after_rests(ends: ExitStack, tmp_path: Path) -> None:
    port = free_port()
    window = started(ends, tmp_path, port)
    session = window.ledger.next_session()
    until(lambda: window.courier.link().trouble == "unreachable", "nobody is there")
    assert window.ledger.next_session() == session + 1, "an attempt that reached nobody is no session"
    cold = Mosquitto(tmp_path)
    cold.port = port
    cold.start()
    ends.callback(cold.kill)
    until(lambda: window.courier.link().connected, "the broker is found when it comes")


@pytest.mark.parametrize(
    ("greeting", "trouble"),
    [
        (b"", "unanswered"),
        (NOT_AUTHORISED, "refused"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "unanswered"),
        (b"\x20\x02\x00\x77", "refused"),
        (b"\x00" * 100, "lost"),
        (b"\x20\xff\xff\xff\xff\xff", "lost"),
    ],
)
def test_what_is_no_broker_is_left_again_and_again(
    ends: ExitStack, tmp_path: Path, greeting: bytes, trouble: str
) -> None:
    server = OddServer(greeting)
    ends.callback(server.close)
    window = started(ends, tmp_path, server.port, msgspec.structs.replace(QUICK, connect=0.3))
    until(lambda: server.connections >= 3, "it is tried again")
    assert not window.courier.link().connected
    assert window.courier.link().trouble == trouble


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_from_a_server_never_raise_out_of_the_line(noise: bytes, greets: bool) -> None:
    near, far = socket.socketpair()
    line = Line(
        WINDOW, Address(host="broker"), msgspec.structs.replace(QUICK, rest_first=9, rest_last=9), _will, lambda: near
    )
    far.sendall((CONNACK if greets else b"") + noise)
    deadline = time.monotonic() + 5
    while line.stage in (Stage.RESTING, Stage.DIALLING) and time.monotonic() < deadline and not line.trouble:
        line.wait(0.01)
        line.turn()
    for _ in range(len(noise) + 3):
        line.wait(0)
        line.turn()
    line.close()
    far.close()


def test_a_broker_without_pubacks_is_left_before_copies_pile_up(ends: ExitStack, tmp_path: Path) -> None:
    server = OddServer(CONNACK)
    ends.callback(server.close)
    impatient = msgspec.structs.replace(QUICK, resend_first=0.01, resend_last=0.02)
    window = Window(tmp_path, server.port, impatient)
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    window.commit(32)
    window.start()
    until(lambda: server.connections >= 2, "it is left for another attempt")
    assert window.courier.link().trouble in ("unanswered", "")
    assert bytes(server.heard).count(b'"window.press.stray.v1"') <= 2 * OWED


def test_a_name_server_that_hangs_does_not_hang_the_loop() -> None:
    hangs, dialled = threading.Event(), []

    def dial() -> socket.socket:
        dialled.append(threading.current_thread())
        hangs.wait(20)
        raise OSError("name or service not known")

    line = Line(WINDOW, Address(host="broker.county"), msgspec.structs.replace(QUICK, connect=0.1), _will, dial)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        began = time.monotonic()
        line.wait(0.05)
        line.turn()
        assert time.monotonic() - began < 0.3
    assert line.trouble == "unreachable"
    assert len(dialled) == 1, "a second attempt would hang beside the first"
    hangs.set()
    dialled[0].join(5)
    line.close()


def _will() -> Will:
    return Will(1, PRESENCE, b"{}")


def run(courier: Courier, seconds: float) -> None:
    """Step after step, as the courier's loop does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        courier.step(0.1)


def test_a_fault_of_ours_raises_out_of_the_step(tmp_path: Path, broker: Mosquitto) -> None:
    window = Window(tmp_path, broker.port)

    def burst() -> None:
        raise ZeroDivisionError("the panel")

    courier = Courier(
        window=WINDOW,
        address=Address(host="127.0.0.1", port=broker.port),
        ledger=window.ledger,
        status=status,
        health=health,
        now=lambda: datetime.now(CHINA),
        on_order=lambda _order: None,
        on_link=burst,
    )
    with pytest.raises(ZeroDivisionError, match="the panel"):
        run(courier, 5)
    courier.close()
    window.ledger.close()


def test_an_order_that_cannot_be_carried_out_is_put_aside_and_the_next_is_carried_out(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, broker.port)
    county.sees_online()
    window.cannot = {"o-1"}
    for order in ("o-1", "o-2"):
        county.order(order, "say")
    until(lambda: window.orders == [("o-2", "say")], "the second is carried out")
    assert window.courier.strays == {"broken": 1}
    window.commit()
    until(lambda: window.ledger.backlog()[0] == 0, "and facts still go")


def test_a_flood_of_orders_is_carried_out_at_a_bounded_rate_and_presses_go_on(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, broker.port)
    county.sees_online()
    for number in range(3000):
        county.order(f"o-{number}", "say")
    for _ in range(20):
        window.commit()
    until(lambda: window.ledger.backlog()[0] == 0, "presses arrive meanwhile")
    until(lambda: len(window.orders) + window.courier.strays.get("too_many_orders", 0) == 3000, "all are read", 20)
    assert 20 <= len(window.orders) < 30, "twenty at once, and one a minute"


def test_a_file_descriptor_over_1023_is_no_trouble(tmp_path: Path, broker: Mosquitto, ends: ExitStack) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    ends.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    county = County(broker.port)
    ends.callback(county.close)
    for _ in range(1100):
        ends.callback(os.close, os.open("/dev/null", os.O_RDONLY))
    window = started(ends, tmp_path, broker.port)
    window.commit(5)
    until(lambda: window.ledger.backlog()[0] == 0, "facts go over a high descriptor")


def more_than(already: int, county: County) -> bool:
    """Whether another fact has come."""
    return len(county.seen) > already


def test_a_wake_brings_a_press_to_the_county_at_once(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    window = started(ends, tmp_path, broker.port)
    county.sees_online()
    until(lambda: window.courier.link().connected, "connected")
    took = []
    for _ in range(30):
        began, already = time.monotonic(), len(county.seen)
        window.commit()
        until(partial(more_than, already, county), "the press comes")
        took.append(time.monotonic() - began)
    assert sorted(took)[15] < 0.05, "half a second of the loop's own pace would show"


def test_a_wake_after_the_end_is_harmless(tmp_path: Path, broker: Mosquitto) -> None:
    window = Window(tmp_path, broker.port)
    window.courier.close()
    window.courier.wake()
    window.ledger.close()


def test_a_will_that_comes_after_our_first_word_is_answered(
    tmp_path: Path, broker: Mosquitto, county: County, ends: ExitStack
) -> None:
    started(ends, tmp_path, broker.port)
    session = county.sees_online().session
    county.say(PRESENCE, wire.encode(wire.Presence(online=False, session=session - 1)), retain=True)
    until(lambda: sessions(county)[-2:] == [(False, session - 1), (True, session)], "online again")


def test_a_full_card_keeps_the_word_of_the_county_in_memory(tmp_path: Path, broker: Mosquitto, ends: ExitStack) -> None:
    county = County(broker.port, never)
    ends.callback(county.close)
    window = started(ends, tmp_path, broker.port, msgspec.structs.replace(QUICK, full_card=0.3))
    county.sees_online()
    window.commit(5)
    until(lambda: county.has(1, 2, 3, 4, 5), "facts are under way")
    with full_card(tmp_path / "ledger.db-wal"):
        county.acknowledge(window.ledger.id, [(1, 5)])
        until(lambda: window.courier.link().depth == 0, "the county has them all")
        stays(lambda: window.ledger.backlog()[0] == 5, "the card cannot be told", 0.8)
    until(lambda: window.ledger.backlog()[0] == 0, "the card is told when it takes something again")
    assert window.courier.link().depth == 0


@contextmanager
def full_card(log: Path) -> Iterator[None]:
    """No file of this process may grow past the ledger's write-ahead log as it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_certificates_of_the_county_are_shown_and_asked_for(ends: ExitStack, tmp_path: Path) -> None:
    for command in (["authority", "平江县"], ["broker", "127.0.0.1"], ["sign", WINDOW], ["sign", "430602"]):
        subprocess.run([CERTIFICATES, "-d", tmp_path, *command], check=True, capture_output=True)
    broker = Mosquitto(
        tmp_path,
        more=f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/broker.crt\nkeyfile {tmp_path}/broker.key\n"
        "require_certificate true\nuse_identity_as_username true\nuser root\n",
    )
    broker.start()
    ends.callback(broker.kill)
    shown = Address(
        host="127.0.0.1",
        port=broker.port,
        ca_file=tmp_path / "ca.crt",
        cert_file=tmp_path / f"{WINDOW}.crt",
        key_file=tmp_path / f"{WINDOW}.key",
    )
    window = started(ends, tmp_path, broker.port, address=shown)
    until(lambda: window.courier.link().connected, "both trust each other")
    # More than one TLS record, so that bytes wait inside TLS where poll() cannot see them.
    window.commit(40)
    until(lambda: window.courier.link().depth == 40, "facts go")

    stranger = msgspec.structs.replace(shown, cert_file=None, key_file=None)
    other = started(ends, tmp_path / "other", broker.port, address=stranger)
    until(lambda: other.courier.link().trouble in ("lost", "unreachable"), "without a certificate nobody is let in")


def test_a_password_that_is_wrong_is_refused_and_said_so(ends: ExitStack, tmp_path: Path) -> None:
    passwords = tmp_path / "passwd"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, WINDOW, "right"], check=True, capture_output=True)
    broker = Mosquitto(tmp_path, more=f"allow_anonymous false\npassword_file {passwords}\nuser root\n")
    broker.start()
    ends.callback(broker.kill)
    address = Address(host="127.0.0.1", port=broker.port, username=WINDOW, password="wrong")
    window = started(ends, tmp_path, broker.port, address=address)
    until(lambda: window.courier.link().trouble == "refused", "a wrong password is refused")
    right = started(ends, tmp_path / "right", broker.port, address=msgspec.structs.replace(address, password="right"))
    until(lambda: right.courier.link().connected, "the right one is not")
    assert "right" not in repr(right.courier._line._address)
