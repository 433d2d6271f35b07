"""Orders of the county at a window: `replay` is carried out once, answered truly, and keeps nobody waiting."""

import sqlite3
from contextlib import closing

import msgspec
import pytest

from appliance import wire
from appliance.counter import Counter
from appliance.courier.courier import OTHERS, REPLAYS, Allowance
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.happenings import KeyPresses, OrderArrives
from tests.conftest import WINDOW
from tests.test_ledger import AT, stray
from tests.test_ledger_check import alter


def replay(counter: Counter, first: int, last: int, order: str = "o-1", ledger: str = "") -> tuple[str, str]:
    """Order it; the type of the answer and its reason, both empty when there is none."""
    asked = wire.Replay(ledger=ledger or counter.ledger.id, first=first, last=last, by="county")
    return arrives(counter, order, wire.encode(asked))


def arrives(counter: Counter, order: str, data: bytes, name: str = "replay") -> tuple[str, str]:
    facts = counter.handle(OrderArrives(at=counter.moment(), order=order, name=name, data=data))
    return next(((fact.type, getattr(fact, "reason", "")) for fact in facts), ("", ""))


@pytest.fixture(autouse=True)
def acknowledged(ledger: Ledger) -> None:
    """Fifty facts that the county has."""
    ledger.commit(stray(50), AT, Desk(ledger=ledger.id))
    ledger.acknowledge([(1, 50)])


def unsent(ledger: Ledger) -> list[int]:
    with closing(sqlite3.connect(ledger.path)) as other:
        return [row[0] for row in other.execute("SELECT seq FROM outbox ORDER BY seq")]


def test_facts_that_are_asked_for_are_unsent_again_byte_for_byte(counter: Counter, ledger: Ledger) -> None:
    before = {kept.seq: kept.payload for kept in ledger.unsent(100)}
    assert replay(counter, 10, 20) == ("order.done", "")
    assert unsent(ledger) == [*range(10, 21), 51]
    assert ledger.backlog()[0] == 12
    kept = {one.seq: one.payload for one in ledger.unsent(100)}
    assert {seq: kept[seq] for seq in before} == before


def test_an_order_is_carried_out_once_however_often_it_comes(counter: Counter, ledger: Ledger) -> None:
    replay(counter, 10, 20)
    ledger.acknowledge([(1, 51)])
    assert replay(counter, 10, 20) == ("", "")
    assert unsent(ledger) == []


def test_nor_after_a_restart(counter: Counter, ledger: Ledger) -> None:
    replay(counter, 10, 20)
    ledger.acknowledge([(1, 51)])
    ledger.close()
    again = Ledger.open(ledger.path, WINDOW)
    assert replay(Counter(again, counter.rules, counter.clock), 10, 20) == ("", "")
    assert unsent(again) == []
    again.close()


def test_of_another_ledger_nothing_is_sent(counter: Counter, ledger: Ledger) -> None:
    assert replay(counter, 1, 50, ledger="0000aaaa") == ("order.refused", "foreign_ledger")
    assert unsent(ledger) == [51]


def test_what_is_there_is_sent_and_what_is_missing_is_said(counter: Counter, ledger: Ledger) -> None:
    alter(ledger.path, "DELETE FROM facts WHERE seq IN (12, 13);")
    assert replay(counter, 10, 15) == ("order.refused", "missing")
    assert unsent(ledger) == [10, 11, 14, 15, 51]


def test_sequences_that_were_never_given_are_missing(counter: Counter, ledger: Ledger) -> None:
    assert replay(counter, 49, 60) == ("order.refused", "missing")
    assert unsent(ledger) == [49, 50, 51]


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"{}",
        b"[" * 5000,
        b'{"ledger":"3f9c1a7e","from":5,"to":1,"by":"x"}',
        b'{"ledger":"3f9c1a7e","from":1,"to":999999999,"by":"x"}',
        b'{"ledger":"3f9c1a7e","from":-1,"to":1,"by":"x"}',
        b"\xff",
    ],
)
def test_what_cannot_be_read_or_is_too_much_is_refused(counter: Counter, ledger: Ledger, data: bytes) -> None:
    assert arrives(counter, "o-1", data) == ("order.refused", "unknown")
    assert unsent(ledger) == [51]


def test_an_order_that_this_version_does_not_know_is_refused(counter: Counter) -> None:
    assert arrives(counter, "o-1", b"{}", "restart") == ("order.refused", "unknown")


def test_a_hundred_replays_leave_a_press_its_place(counter: Counter, ledger: Ledger) -> None:
    for n in range(100):
        assert replay(counter, 1, 50, f"o-{n}") == ("order.done", "")
    counter.tell(KeyPresses(at=counter.moment(), grade=1))
    assert unsent(ledger) == list(range(1, 152)), "each fact waits once, whoever asks for it"
    fresh = ledger.unsent(1, after=150)
    assert msgspec.json.decode(fresh[0].payload)["type"] == "window.press.stray.v1"


def test_what_is_remembered_of_orders_is_short_however_long_their_names_are(counter: Counter, ledger: Ledger) -> None:
    names = [f"{number}" + "令" * 196 for number in range(210)]
    for name in names:
        assert arrives(counter, name, b"{}", "say") == ("order.refused", "unknown")
    assert arrives(counter, names[-1], b"{}", "say") == ("", ""), "it has its answer"
    assert arrives(counter, names[-200], b"{}", "say") == ("", "")
    assert len(msgspec.json.encode(ledger.desk())) < 6000


def test_replays_come_as_fast_as_a_county_means_them_and_others_seldom() -> None:
    for (most, every_s), hour in ((REPLAYS, 930), (OTHERS, 80)):
        allowance = Allowance(most, every_s)
        assert sum(allowance.takes(1000.0 + at / 5) for at in range(3600 * 5)) in range(hour - 2, hour + 3)
