"""A hundred replays at once over a real broker: a press and what is fresh keep their place, and the window its pace."""

from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from appliance import wire
from appliance.counter import Counter
from appliance.courier import Ordered
from appliance.window.happenings import KeyPresses, OrderArrives
from appliance.window.rules import Rules
from tests.conftest import HandClock
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.county import County
from tests.ground_courier.waiting import until
from tests.ground_courier.window import QUICK, Window

FACTS, REPLAYS, PRESSES = 2000, 100, 20


class Ordering(Window):
    """A window that carries out what it is ordered, and is pressed."""

    def serves(self, rules: Rules) -> "Ordering":
        self.counter = Counter(self.ledger, rules, HandClock())
        self.counter.ring_first(self.courier.wake)
        return self

    def _order(self, order: Ordered) -> None:
        data = wire.encode(order.replay) if order.replay else b"null"
        self.counter.tell(OrderArrives(at=self.counter.moment(), order=order.order, name=order.name, data=data))


def test_a_hundred_replays_keep_no_press_waiting(tmp_path: Path, rules: Rules) -> None:
    with ExitStack() as ends:
        broker = Mosquitto(tmp_path)
        broker.start()
        ends.callback(broker.kill)
        county = County(broker.port)
        ends.callback(county.close)
        window = Ordering(tmp_path, broker.port, QUICK).serves(rules)
        ends.callback(window.ledger.close)
        ends.callback(window.stop)
        window.commit(FACTS)
        window.start()
        until(lambda: window.ledger.backlog()[0] == 0, "the county has all")
        asked = wire.encode(wire.Replay(ledger=window.ledger.id, first=1, last=1000, by="county"))
        for number in range(REPLAYS):
            county.order(f"replay-{number}", "replay", asked)
        waited = [pressed(window, county) for _ in range(PRESSES)]
        assert max(waited) < 2.0
        until(lambda: window.ledger.backlog()[0] == 0, "all of it arrives", 30)
        assert window.ledger.last_seq <= FACTS + PRESSES + REPLAYS
        again = max(county.seqs().count(seq) for seq in (1, 500, 1000))
        assert 2 <= again <= 40, "the same facts are not sent a hundred times"


def pressed(window: Ordering, county: County) -> float:
    """Seconds from a press until the county has it."""
    began = monotonic()
    window.counter.tell(KeyPresses(at=window.counter.moment(), grade=1))
    newest = window.ledger.last_seq
    until(lambda: (window.ledger.id, newest) in county.payloads, "the press arrives", 10)
    return monotonic() - began
