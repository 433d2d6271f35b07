"""Who watches a part of the desk is woken when that part changes, misses no change of it, and is left alone else."""

import threading
from functools import partial
from pathlib import Path

import msgspec

from appliance.clock import Clock
from appliance.counter import Counter
from appliance.device_loops import LampLoop
from appliance.devices.lamps import Lamps
from appliance.devices.pins import Pins
from appliance.ledger import Ledger
from appliance.window.desk import Desk
from appliance.window.facts import Grade
from appliance.window.happenings import ClerkArrives, KeyPresses, TimePasses, VisitBegins, VisitEnds
from appliance.window.rules import Rules
from tests.conftest import WINDOW, until

GRADES: tuple[Grade, ...] = (1, 2, 3, 4, 5)


def prompt(desk: Desk) -> object:
    return desk.prompt


def press(counter: Counter, grade: Grade = 5) -> None:
    counter.tell(KeyPresses(at=counter.moment(), grade=grade, beside=()))


def prompted(counter: Counter) -> None:
    if counter.view().clerk is None:
        counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    counter.handle(VisitBegins(at=counter.moment()))
    counter.handle(VisitEnds(at=counter.moment()))


def test_a_stray_press_wakes_who_watches_anything_and_not_who_watches_the_prompt(counter: Counter) -> None:
    anything, part = counter.watch(), counter.watch(prompt)
    press(counter)
    assert anything.wait(0)
    assert not part.wait(0)
    prompted(counter)
    assert part.wait(0)
    press(counter)
    assert part.wait(0), "it is rated"


def test_what_no_desk_tells_is_rung_to_every_watch(counter: Counter) -> None:
    part = counter.watch(prompt)
    counter.handle(TimePasses(at=counter.moment()))
    assert part.wait(0)
    counter.ring()
    assert part.wait(0)


def test_a_watch_that_was_rung_for_another_reason_still_hears_of_the_change_back(counter: Counter) -> None:
    part = counter.watch(lambda desk: desk.visit is None)
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    counter.handle(VisitBegins(at=counter.moment()))
    counter.ring()
    assert part.wait(0)
    counter.handle(VisitEnds(at=counter.moment()))
    assert part.wait(0)


def test_a_watch_that_has_left_is_rung_no_more(counter: Counter) -> None:
    part = counter.watch(prompt)
    part.close()
    prompted(counter)
    assert not part.wait(0)


def shows(shown: list[int], served: int) -> bool:
    return shown[-1] == served


def test_of_many_changes_by_many_threads_the_last_is_never_missed(tmp_path: Path, rules: Rules) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, rules, Clock())
    watch, shown, ended = counter.watch(lambda desk: (desk.counts, desk.visit)), list[int](), threading.Event()

    def follow() -> None:
        while not ended.is_set():
            shown.append(counter.view().served_today)
            watch.wait(30)

    follower = threading.Thread(target=follow)
    follower.start()

    def strays() -> None:
        for grade in GRADES * 10:
            press(counter, grade)

    pressers = [threading.Thread(target=strays) for _ in range(3)]
    for thread in pressers:
        thread.start()
    for served in range(1, 31):
        prompted(counter)
        until(partial(shows, shown, served), 5, f"visit {served} was missed")
    for thread in pressers:
        thread.join()
    ended.set()
    counter.ring()
    follower.join(5)
    assert not follower.is_alive()
    ledger.close()


def test_the_lamps_follow_every_prompt_though_no_press_in_between_wakes_them(tmp_path: Path, rules: Rules) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, msgspec.structs.replace(rules, change_s=0.05), Clock())
    pins, ended = Pins("mock"), threading.Event()
    loop = LampLoop(counter, Lamps(pins, (17,), None, False, False))

    def follow() -> None:
        while not ended.is_set():
            loop.step()

    follower = threading.Thread(target=follow)
    follower.start()
    until(lambda: pins.factory().pins, 5)

    def lit() -> bool:
        return bool(pins.factory().pin("GPIO17").state)

    for _ in range(10):
        press(counter)
        prompted(counter)
        until(lit, 2, "the lamps ask")
        press(counter)
        until(lambda: not lit(), 2, "the press is taken")
    ended.set()
    counter.ring()
    follower.join(10)
    assert not follower.is_alive()
    pins.close()
    ledger.close()
