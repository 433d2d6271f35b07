"""The collector keeps what windows say once, tells them only after the commit, and goes on whatever arrives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.county.book import Book
from appliance.window.facts import RatingGiven
from tests.ground_county import Pen, Running, Talker
from tests.ground_courier.brokers import Broker, Iotcore, Mosquitto


@pytest.fixture(params=[Mosquitto, Iotcore])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    running: Broker = request.param(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def collector(tmp_path: Path, broker: Broker) -> Iterator[Running]:
    running = Running(Book(f"sqlite:///{tmp_path}/book.db"), broker.port).connected()
    yield running
    running.stop()


def test_facts_are_kept_once_and_acknowledged(broker: Broker, collector: Running) -> None:
    pen, window = Pen(), Talker(broker.port)
    for n in range(50):
        pen.write(RatingGiven(visit=f"20261122-{n:04d}", grade=4))
    window.send(pen)
    window.until_acked(*range(1, 51))
    window.send(pen, 7, 8)
    window.until_acked(7, 8)
    assert collector.book.past().facts == 50
    window.leave()
