"""What the window says of itself, retained: status and health, when they change and on every connection."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance import wire
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.cable import Cable
from tests.ground_courier.county import WINDOW, County
from tests.ground_courier.waiting import stays, until
from tests.ground_courier.window import QUICK, Window, health, status


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
def window(tmp_path: Path, cable: Cable) -> Iterator[Window]:
    one = Window(tmp_path, cable.port, QUICK)
    yield one
    one.stop()
    one.ledger.close()


def said(county: County, name: str) -> list[bytes]:
    """All that was said under a topic of the window."""
    return [payload for topic, payload in county.history if topic == wire.window_topic(WINDOW, name)]


def test_status_and_health_are_retained_and_read_back_as_they_were_given(
    window: Window, county: County, broker: Mosquitto
) -> None:
    window.start()
    until(lambda: county.window_says("status") and county.window_says("health"), "both are said")
    late = County(broker.port)
    until(lambda: late.window_says("status") and late.window_says("health"), "who comes later reads both")
    assert msgspec.json.decode(late.window_says("status") or b"", type=wire.Status) == window.status
    assert msgspec.json.decode(late.window_says("health") or b"", type=wire.Health) == window.health
    late.close()


def test_a_status_goes_when_its_bytes_change_and_only_then(window: Window, county: County) -> None:
    window.start()
    until(lambda: len(said(county, "status")) == 1, "the first")
    for _ in range(20):
        window.courier.wake()
    stays(lambda: len(said(county, "status")) == 1, "a wake alone says nothing", 0.3)
    window.status = status(served=1)
    window.courier.wake()
    until(lambda: len(said(county, "status")) == 2, "a change does")
    assert b'"served_today":1' in said(county, "status")[-1]


def test_health_goes_when_something_breaks_but_not_for_wandering_numbers(window: Window, county: County) -> None:
    window.start()
    until(lambda: len(said(county, "health")) == 1, "the first")
    window.health = health(free=899)
    window.courier.wake()
    stays(lambda: len(said(county, "health")) == 1, "a megabyte less is no news", 1.2)
    window.health = health(printer="bad")
    window.courier.wake()
    until(lambda: len(said(county, "health")) == 2, "a broken printer is", 3)
    assert b'"disk_free_mb":900' in said(county, "health")[-1]


def test_health_goes_every_minute_whatever_it_says(tmp_path: Path, county: County, broker: Mosquitto) -> None:
    one = Window(tmp_path, broker.port, msgspec.structs.replace(QUICK, health=0.3)).start()
    until(lambda: len(said(county, "health")) >= 4, "every 0.3 s here")
    one.stop()
    one.ledger.close()


def test_both_are_said_again_on_a_new_connection(window: Window, county: County, cable: Cable) -> None:
    window.start()
    until(lambda: said(county, "status") and said(county, "health"), "the first connection")
    cable.cut()
    county.sees_online(False)
    cable.plug_in()
    until(lambda: len(said(county, "status")) == 2 and len(said(county, "health")) == 2, "the second connection")


def test_the_panel_hears_of_the_link_and_of_the_depth_at_a_bounded_rate(
    window: Window, county: County, cable: Cable
) -> None:
    cable.cut()
    window.start()
    until(lambda: window.courier.link().trouble == "unreachable" or window.courier.link().trouble, "no connection")
    told = window.links
    for _ in range(200):
        window.commit()
    until(lambda: window.courier.link().depth == 200, "the depth")
    assert window.links - told < 20, "two hundred presses are not two hundred notices"
    cable.plug_in()
    until(lambda: window.courier.link().connected and window.courier.link().depth == 0, "all gone")
    assert window.courier.link().trouble == ""
