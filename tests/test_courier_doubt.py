"""The panel doubts the line as soon as something stays unanswered, and only then; the county is there if it answers."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest

from appliance.window.desk import Desk
from appliance.window.facts import PressStray
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.cable import Cable
from tests.ground_courier.county import County, never
from tests.ground_courier.waiting import stays, until
from tests.ground_courier.window import QUICK, Window, moment

PRESENCE = "windows/v1/430602/county/presence"
SOON = msgspec.structs.replace(QUICK, doubt=0.3, silence=1.0)


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def broker(tmp_path: Path, ends: ExitStack) -> Mosquitto:
    running = Mosquitto(tmp_path)
    running.start()
    ends.callback(running.kill)
    return running


@pytest.fixture
def cable(broker: Mosquitto, ends: ExitStack) -> Cable:
    cable = Cable(broker.port)
    ends.callback(cable.close)
    return cable


@pytest.fixture
def county(broker: Mosquitto, ends: ExitStack) -> County:
    county = County(broker.port)
    ends.callback(county.close)
    return county


@pytest.fixture
def window(tmp_path: Path, cable: Cable, county: County, ends: ExitStack) -> Window:
    window = Window(tmp_path, cable.port, SOON)
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    window.start()
    county.sees_online()
    until(lambda: window.courier.link().connected, "connected")
    return window


def test_a_fact_that_a_dead_cable_holds_makes_the_line_doubted_and_then_lost(window: Window, cable: Cable) -> None:
    cable.stall()
    window.commit(2)
    until(lambda: window.courier.link().doubt == "broker", "it is doubted", 2)
    assert window.courier.link().connected, "nothing is known yet"
    assert window.courier.link().depth == 2
    until(lambda: window.courier.link().trouble == "lost", "and lost when nothing comes at all", 3)
    assert window.courier.link().doubt == ""
    cable.plug_in()
    until(lambda: window.courier.link().connected and window.courier.link().depth == 0, "found again")


def test_a_dead_cable_is_found_out_though_there_is_nothing_to_send(
    tmp_path: Path, cable: Cable, county: County, ends: ExitStack
) -> None:
    window = Window(tmp_path, cable.port, msgspec.structs.replace(SOON, keepalive=1))
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    window.start()
    county.sees_online()
    stays(lambda: window.courier.link().doubt == "", "a living broker answers", 2.5)
    cable.stall()
    until(lambda: window.courier.link().doubt == "broker", "a keep-alive and some patience later", 3)
    cable.plug_in()
    until(lambda: window.courier.link().doubt == "", "it was only slow")


def test_a_county_that_takes_facts_and_says_nothing_is_doubted_until_it_does(window: Window, county: County) -> None:
    county.answer = never
    window.commit(3)
    until(lambda: window.courier.link().doubt == "county", "the broker has them, the county says nothing", 2)
    assert window.courier.link().connected
    assert window.courier.behind_s() > 0.2
    stays(lambda: window.courier.link().doubt == "county", "the broker's own answers are not the county's", 2.5)
    county.acknowledge(window.ledger.id, [(1, 3)])
    until(lambda: window.courier.link().doubt == "" and window.courier.link().depth == 0, "it was there")
    assert window.courier.behind_s() == 0


def test_a_broker_that_goes_is_no_doubt_but_gone(window: Window, broker: Mosquitto) -> None:
    broker.kill()
    until(lambda: not window.courier.link().connected, "at once", 1)
    window.commit()
    stays(lambda: window.courier.link().doubt == "", "what cannot be asked owes no answer", 1)
    assert window.courier.behind_s() == 0, "nor is it the county that is late"


def test_a_county_that_takes_a_second_for_a_batch_is_never_doubted(
    tmp_path: Path, broker: Mosquitto, ends: ExitStack
) -> None:
    county = County(broker.port, never)
    ends.callback(county.close)
    window = Window(tmp_path, broker.port, QUICK)
    ends.callback(window.ledger.close)
    ends.callback(window.stop)
    window.commit(300)
    window.start()
    ended = Event()

    def batches() -> None:
        while not ended.wait(1.0):
            county.acknowledge(window.ledger.id, [(1, max(county.seqs(), default=1))])

    slow = Thread(target=batches)
    slow.start()

    def pressed() -> bool:
        window.commit()
        return window.courier.link().doubt == ""

    stays(pressed, "a slow county is there", 5)
    ended.set()
    slow.join()


def test_one_fact_that_the_county_passes_over_makes_no_doubt_of_the_others(window: Window, county: County) -> None:
    county.answer = lambda _ledger, seq: [] if seq == 1 else [(seq, seq)]
    window.commit(5)
    until(lambda: window.courier.link().depth == 1, "one is left")
    stays(lambda: window.courier.link().doubt == "", "the county has answered", 1)


def test_a_fresh_acknowledgement_says_that_a_county_is_there_though_one_of_two_collectors_has_gone(
    window: Window, county: County
) -> None:
    county.say(PRESENCE, b'{"online": true, "session": 7}', retain=True)
    until(lambda: window.courier.link().county is True, "the collector is there")
    county.say(PRESENCE, b'{"online": false, "session": 7}', retain=True)
    until(lambda: window.courier.link().county is False, "it has gone")
    window.commit()
    until(lambda: window.courier.link().county is True, "and another acknowledges")
    county.say(PRESENCE, b'{"online": false, "session": 8}', retain=True)
    until(lambda: window.courier.link().county is False, "that one has gone too")


def test_facts_that_come_back_into_the_outbox_are_sent_again(window: Window, county: County) -> None:
    window.commit(300)
    until(lambda: window.ledger.backlog()[0] == 0 and window.courier.link().depth == 0, "all are there")
    window.ledger.commit([PressStray(key=1, why="no_prompt")], moment(), Desk(ledger=window.ledger.id), (40, 250))
    window.courier.wake()
    until(lambda: window.ledger.backlog()[0] == 0, "all are acknowledged again")
    seqs = county.seqs()
    assert set(seqs) == set(range(1, 302))
    assert all(seqs.count(seq) >= 2 for seq in range(40, 251))
