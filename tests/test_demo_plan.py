"""The settings that the demo writes are settings that a window and a county accept, and say what they should."""

from pathlib import Path

import pytest

from appliance.broker import Hold
from appliance.demo.plan import Ports, addresses, county_toml, window_toml, windows
from appliance.settings import load_county, load_window

PORTS = Ports.from_base(9000)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A place with what a person may have in a path: quotes and Chinese."""
    place = tmp_path / '演示"数据\\'
    place.mkdir()
    return place


def test_the_usual_ports_are_easy_to_say() -> None:
    assert [port for port, _ in Ports().named()] == [8000, 8101, 8102, 18830]


def test_a_port_base_gives_four_in_a_row() -> None:
    assert [port for port, _ in PORTS.named()] == [9000, 9001, 9002, 9003]


def test_each_window_s_settings_load_and_are_its_own(state: Path) -> None:
    loaded = []
    for window in windows(PORTS):
        file = state / "window.toml"
        file.write_text(window_toml(window, PORTS, state), encoding="utf-8")
        loaded.append(load_window(file))
    township, village = loaded
    assert (township.station.name, village.station.name) == ("梅溪乡医疗保障服务站", "梅溪乡柳树村医疗保障服务点")
    assert (township.window.id, village.window.id) == ("430602-0107-1", "430602-0231-1")
    assert (township.panel.port, village.panel.port) == (9001, 9002)
    assert township.ledger.path != village.ledger.path
    for settings in loaded:
        assert settings.ledger.path.parent == state
        assert (settings.pad.factory, settings.printer.kind, settings.bench.enabled) == ("mock", "bench", True)
        assert (settings.broker.host, settings.broker.port, settings.panel.listen) == ("127.0.0.1", 9003, "127.0.0.1")


def test_the_county_s_settings_load_and_name_both_stations(state: Path) -> None:
    file = state / "county.toml"
    file.write_text(county_toml(windows(PORTS), PORTS, state), encoding="utf-8")
    county = load_county(file)
    assert county.stations == {"0107": "梅溪乡医疗保障服务站", "0231": "梅溪乡柳树村医疗保障服务点"}
    assert county.book.url == f"sqlite:///{state}/county.db"
    assert (county.office.listen, county.office.port, county.broker.port) == ("127.0.0.1", 9000, 9003)


def test_every_address_is_on_this_machine() -> None:
    assert all("://127.0.0.1:" in address for _, address in addresses(PORTS))


@pytest.mark.parametrize("written", ["", "none", "1", "999999999"])
def test_a_hold_kills_nothing_but_a_broker(tmp_path: Path, written: str) -> None:
    """A pid file that is empty, torn, or names a process that is no broker: pid 1 is everybody's."""
    file = tmp_path / "broker.pid"
    file.write_text(written, encoding="ascii")
    hold = Hold(file)
    assert not hold.up()
    assert not hold.kill()


def test_without_a_pid_file_there_is_nothing_to_kill(tmp_path: Path) -> None:
    assert not Hold(tmp_path / "absent.pid").kill()
