"""Facts reach the county over real brokers, once acknowledged, in order, whatever is lost on the way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import wire
from appliance.courier import Pace
from tests.ground_courier.brokers import Broker, Iotcore, Mosquitto
from tests.ground_courier.cable import Cable
from tests.ground_courier.county import County, at_once, never
from tests.ground_courier.waiting import stays, until
from tests.ground_courier.window import IMPATIENT, QUICK, Window

Build = Callable[..., Window]


@pytest.fixture(params=[Mosquitto, Iotcore])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    running: Broker = request.param(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def window(tmp_path: Path, broker: Broker) -> Iterator[Build]:
    built: list[Window] = []

    def build(port: int | None = None, pace: Pace = QUICK) -> Window:
        built.append(Window(tmp_path, port or broker.port, pace))
        return built[-1]

    yield build
    for one in built:
        one.stop()
        one.ledger.close()


@pytest.fixture
def county(broker: Broker) -> Iterator[County]:
    one = County(broker.port)
    yield one
    one.close()


@pytest.fixture
def cable(broker: Broker) -> Iterator[Cable]:
    one = Cable(broker.port)
    yield one
    one.close()


def empty(window: Window) -> Callable[[], bool]:
    """Nothing is left to carry, as the ledger and the panel say."""
    return lambda: window.ledger.backlog()[0] == 0 and window.courier.link().depth == 0


def test_a_backlog_arrives_in_order_byte_for_byte_and_is_forgotten(window: Build, county: County) -> None:
    one = window()
    one.commit(2000)
    kept = {fact.seq: fact.payload for fact in one.ledger.unsent(2000)}
    one.start()
    until(empty(one), "all 2000 facts are acknowledged", 30)
    assert county.seqs() == list(range(1, 2001))
    assert {seq: payload for (_, seq), payload in county.payloads.items()} == kept


def test_a_press_arrives_while_connected(window: Build, county: County) -> None:
    one = window().start()
    county.sees_online()
    for _ in range(20):
        one.commit()
    until(empty(one), "the presses are acknowledged")
    assert county.seqs() == list(range(1, 21))


def test_never_more_than_a_hundred_and_twenty_eight_are_unacknowledged(window: Build, broker: Broker) -> None:
    county = County(broker.port, never)
    one = window()
    one.commit(300)
    one.start()
    until(lambda: len(set(county.seqs())) == 112, "the places for old facts are filled")
    one.commit(50)
    until(lambda: len(set(county.seqs())) == 128, "and then those for live ones")
    stays(lambda: len(set(county.seqs())) == 128, "no more go without an acknowledgement", 1.5)
    assert sorted(set(county.seqs())) == [*range(1, 113), *range(301, 317)]
    county.acknowledge(one.ledger.id, [(1, 8), (303, 304)])
    until(lambda: county.has(*range(113, 121), 317, 318), "the freed places are filled again")
    county.close()


def test_live_facts_are_not_starved_by_ten_thousand_old_ones(window: Build, county: County) -> None:
    one = window()
    for _ in range(20):
        one.commit(500)
    one.start()
    until(lambda: len(county.seen) > 200, "the backlog is on its way")
    pressed = one.commit()[0]
    until(lambda: county.has(pressed), "the press arrives")
    before = county.seqs().index(pressed)
    assert before < 5_000, f"the press came as number {before} of 10,001"
    until(lambda: len(county.seen) > before + 500, "and the old ones go on")
    old = [seq for seq in county.seqs() if seq <= 10_000]
    assert old == list(range(1, len(old) + 1))


def test_lost_acknowledgements_bring_the_same_bytes_again(window: Build, county: County) -> None:
    county.answer = never
    one = window(pace=IMPATIENT).start()
    county.sees_online()
    one.commit(3)
    until(lambda: county.seqs().count(2) >= 3, "it goes again and again")
    county.answer = at_once
    until(empty(one), "until it is acknowledged")
    assert len(county.payloads) == 3
    after = len(county.seen)
    stays(lambda: len(county.seen) == after, "and then no more", 1.0)


def test_duplicated_acknowledgements_are_harmless(window: Build, county: County) -> None:
    county.answer = lambda _ledger, seq: [(seq, seq), (max(1, seq - 2), seq), (seq, seq)]
    one = window().start()
    one.commit(100)
    until(empty(one), "all are acknowledged")
    assert set(county.seqs()) == set(range(1, 101))


def test_an_acknowledgement_for_another_ledger_is_not_ours(window: Build, county: County) -> None:
    county.answer = never
    one = window().start()
    county.sees_online()
    one.commit(5)
    until(lambda: county.has(1, 2, 3, 4, 5), "the facts come")
    county.acknowledge("00000000", [(1, 5)])
    until(lambda: one.courier.strays.get("foreign_ack"), "the courier has seen it")
    assert one.ledger.backlog()[0] == 5
    county.acknowledge(one.ledger.id, [(1, 5)])
    until(empty(one), "ours counts")


def test_nonsense_on_our_topics_never_stops_the_courier(window: Build, county: County) -> None:
    one = window().start()
    county.sees_online()
    ack = wire.window_topic("430602-0107-1", "ack")
    for payload in (b"", b"{", b"\xff", b'{"ledger":"00000000","seqs":[]}', b"7" * 300_000, b'{"seqs": [[1, 2]]}'):
        county.say(ack, payload)
        county.say(wire.window_topic("430602-0107-1", "order", "identify"), payload)
        county.say("windows/v1/430602/county/presence", payload)
    # Each topic in its order; between topics a broker promises none.
    wanted = {"ack": 5, "foreign_ack": 1, "order": 6, "presence": 6}
    until(lambda: one.courier.strays == wanted, "all have been read")
    one.commit(2)
    until(empty(one), "and facts still go")


def test_an_order_is_handed_on_with_its_id_and_name(window: Build, county: County) -> None:
    one = window().start()
    county.sees_online()
    county.order("o-1", "identify")
    until(lambda: one.orders == [("o-1", "identify")], "the order arrives")


def test_a_cut_link_loses_nothing_and_publishes_nothing_meanwhile(window: Build, county: County, cable: Cable) -> None:
    one = window(cable.port).start()
    county.sees_online()
    one.commit(10)
    until(empty(one), "the first ten arrive")
    cable.cut()
    county.sees_online(False)
    one.commit(100)
    until(lambda: one.courier.link().depth == 100, "the panel shows a hundred")
    assert not one.courier.link().connected
    stays(lambda: len(county.seen) == 10, "nothing goes over a cut cable", 0.5)
    cable.plug_in()
    until(empty(one), "the rest arrives")
    assert county.seqs() == list(range(1, 111)), "each once: nothing was stacked up while the cable was cut"
    assert one.courier.link().connected


def test_a_broker_killed_and_brought_back_loses_nothing(window: Build, broker: Broker) -> None:
    county = County(broker.port, never)
    one = window(pace=IMPATIENT).start()
    county.sees_online()
    one.commit(40)
    until(lambda: len(county.seen) >= 32, "facts are under way")
    broker.kill()
    until(lambda: not one.courier.link().connected, "the courier notices")
    one.commit(5)
    broker.start()
    county.close()
    county = County(broker.port)
    until(empty(one), "all are acknowledged")
    assert set(county.seqs()) == set(range(1, 46))
    county.close()


def test_a_county_that_comes_for_the_first_time_gets_at_once_what_waits_for_it(broker: Broker, tmp_path: Path) -> None:
    patient = Pace(rest_first=0.05, rest_last=0.4, resend_first=600.0, resend_last=600.0)
    county = County(broker.port, never)
    one = Window(tmp_path, broker.port, patient).start()
    one.commit(3)
    until(lambda: county.has(1, 2, 3), "facts are under way")
    stays(lambda: len(county.seen) == 3, "nobody has come", 2.2)
    county.answer = at_once
    county.say("windows/v1/430602/county/presence", b'{"online": true, "session": 1}', retain=True)
    until(empty(one), "the new county gets them at once")
    one.stop()
    one.ledger.close()
    county.close()


def test_the_county_coming_back_gets_at_once_what_it_has_not_acknowledged(broker: Broker, tmp_path: Path) -> None:
    patient = Pace(rest_first=0.05, rest_last=0.4, resend_first=600.0, resend_last=600.0)
    county = County(broker.port, never)
    one = Window(tmp_path, broker.port, patient).start()
    presence = "windows/v1/430602/county/presence"
    county.say(presence, b'{"online": true, "session": 3}', retain=True)
    until(lambda: one.courier.link().county is True, "the window knows the county")
    one.commit(5)
    until(lambda: county.has(1, 2, 3, 4, 5), "facts are under way")
    county.say(presence, b'{"online": false, "session": 2}', retain=True)
    county.say(presence, b'{"online": true, "session": 3}', retain=True)
    stays(lambda: len(county.seen) == 5, "the same session is no return, and an older offline is none", 0.5)
    county.answer = at_once
    county.say(presence, b'{"online": true, "session": 4}', retain=True)
    until(empty(one), "a new session gets them again at once")
    assert county.seqs() == [1, 2, 3, 4, 5] * 2
    one.stop()
    one.ledger.close()
    county.close()
