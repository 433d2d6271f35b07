"""The counter: decide, commit, then act; and what happens when the card takes nothing."""

import threading
from pathlib import Path

import msgspec
import pytest

from appliance.clock import Clock, kernel_synced
from appliance.counter import Counter
from appliance.devices.condition import Outcome
from appliance.hourglass import Hourglass
from appliance.ledger import Ledger, NotKept
from appliance.loops import Loops
from appliance.paper.document import Document
from appliance.receipts import PaperTray
from appliance.window.facts import Handed
from appliance.window.happenings import (
    AwayButtonPresses,
    ClerkArrives,
    DeviceFails,
    DeviceRecovers,
    KeyPresses,
    MaterialsArrive,
    PaperMoves,
    VisitBegins,
    VisitEnds,
)
from appliance.window.refusal import Refused
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock, until


def serve_one(counter: Counter) -> None:
    for happening in (ClerkArrives(at=counter.moment(), number="0107"), VisitBegins(at=counter.moment())):
        counter.handle(happening)
    counter.handle(VisitEnds(at=counter.moment()))


def take_in(counter: Counter, form: str) -> str:
    item = counter.rules.catalogue.item("mtb")
    assert item is not None
    handed = tuple(Handed(material.name, 1) for material in item.materials if material.required)
    counter.handle(MaterialsArrive(at=counter.moment(), form=form, item="mtb", applicant="张三", materials=handed))
    case = counter.case_of_form(form)
    assert case is not None
    return case


def types(ledger: Ledger) -> list[str]:
    return [kept.type for kept in ledger.unsent(1000)]


def test_what_happens_is_on_the_disk_before_the_bells_ring(counter: Counter, ledger: Ledger) -> None:
    seen: list[int] = []
    counter.ring_for(lambda: seen.append(ledger.last_seq))
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    assert seen == [1]


def test_a_refusal_writes_nothing_and_rings_no_bell(counter: Counter, ledger: Ledger) -> None:
    watch = counter.watch()
    with pytest.raises(Refused):
        counter.handle(VisitEnds(at=counter.moment()))
    assert ledger.last_seq == 0
    assert not watch.wait(0)


def test_killed_at_any_instruction_the_window_comes_back_with_its_open_prompt(
    tmp_path: Path, rules: Rules, hand_clock: HandClock
) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    serve_one(counter)
    ledger.close()
    hand_clock.passes(20)
    hand_clock.boot = "boot-2"
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    again = Counter(ledger, rules, hand_clock)
    again.start()
    view = again.view()
    assert view.state == "rating"
    assert view.asking is not None
    assert view.asking.left == pytest.approx(40)
    again.handle(KeyPresses(at=again.moment(), grade=5))
    assert types(ledger)[-1] == "rating.given"
    ledger.close()


def test_a_double_click_makes_one_case_and_one_paper(counter: Counter, ledger: Ledger) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    assert take_in(counter, "f-1") == take_in(counter, "f-1")
    assert len(ledger.papers()) == 1


def test_a_paper_that_a_former_run_left_is_closed_honestly_and_never_printed_by_itself(
    tmp_path: Path, rules: Rules, hand_clock: HandClock
) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    sent, waiting = take_in(counter, "f-1"), take_in(counter, "f-2")
    ledger.send_paper(f"{sent}-0")
    ledger.close()
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    again = Counter(ledger, rules, hand_clock)
    again.start()
    assert {paper.paper: paper.state for paper in ledger.papers()} == {
        f"{sent}-0": "unconfirmed",
        f"{waiting}-0": "failed",
    }
    assert ledger.next_paper() is None
    assert types(ledger)[-2:] == ["paper.unconfirmed", "paper.failed"]
    ledger.close()


def test_a_paper_that_came_out_is_a_fact_and_its_reprint_counts(counter: Counter, ledger: Ledger) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    case = take_in(counter, "f-1")
    counter.handle(PaperMoves(at=counter.moment(), paper=f"{case}-0", outcome="confirmed"))
    assert types(ledger)[-1] == "paper.printed"
    again = counter.print_again(case, f"{case}-0")
    assert again is not None
    assert again.copy == 1


def test_a_full_card_refuses_loudly_and_says_so_once_it_takes_facts_again(counter: Counter, ledger: Ledger) -> None:
    serve_one(counter)
    before = ledger.last_seq
    ledger._writer.execute("PRAGMA max_page_count = 1")
    refused = 0
    for _ in range(200):
        try:
            counter.handle(AwayButtonPresses(at=counter.moment()))
        except NotKept:
            refused += 1
    assert refused
    view = counter.view()
    assert (view.state, view.kept) == ("fault", False)
    counter.try_again()
    assert counter.view().state == "fault"
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    counter.try_again()
    assert counter.kept
    assert types(ledger)[-2:] == ["device.failed", "device.recovered"]
    assert ledger.last_seq > before


def test_devices_are_spared_the_card_but_the_card_is_not_forgotten(counter: Counter, ledger: Ledger) -> None:
    ledger._writer.execute("PRAGMA max_page_count = 1")
    for _ in range(300):
        counter.tell(KeyPresses(at=counter.moment(), grade=1))
    assert not counter.kept


def test_an_outcome_that_the_card_did_not_take_is_told_when_it_does(counter: Counter, ledger: Ledger) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    case = take_in(counter, "f-1")
    tray = PaperTray(counter, lambda _case, _copy: Document(()))
    assert tray.sending(f"{case}-0")
    while counter.kept:
        ledger._writer.execute("PRAGMA max_page_count = 1")
        counter.tell(AwayButtonPresses(at=counter.moment()))
    tray.came_out(f"{case}-0", Outcome("confirmed"))
    assert tray.next_queued() is None
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    assert tray.next_queued() is None
    assert [paper.state for paper in ledger.papers()] == ["confirmed"]


def test_a_form_sent_again_much_later_is_still_the_same_case(counter: Counter) -> None:
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    first = take_in(counter, "f-0")
    for n in range(1, 80):
        take_in(counter, f"f-{n}")
    assert take_in(counter, "f-0") == first


def test_time_closes_a_prompt_that_was_open_before_the_loop_began(tmp_path: Path, rules: Rules) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, msgspec.structs.replace(rules, prompt_s=0.2), Clock())
    serve_one(counter)
    glass = Hourglass(counter)
    steps = 0
    while types(ledger)[-1] != "rating.declined":
        steps += 1
        assert steps <= 3
        glass.step()
    ledger.close()


def test_a_device_that_failed_on_a_full_card_is_told_later(counter: Counter, ledger: Ledger) -> None:
    ledger._writer.execute("PRAGMA max_page_count = 1")
    while counter.kept:
        counter.tell(AwayButtonPresses(at=counter.moment()))
    counter.tell(DeviceFails(at=counter.moment(), device="printer", reason="absent"))
    assert counter.view().troubles == ()
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    counter.try_again()
    assert [trouble.device for trouble in counter.view().troubles] == ["printer"]


def test_what_a_device_said_on_a_full_card_is_not_told_once_it_is_no_longer_true(
    counter: Counter, ledger: Ledger
) -> None:
    ledger._writer.execute("PRAGMA max_page_count = 1")
    while counter.kept:
        counter.tell(AwayButtonPresses(at=counter.moment()))
    counter.tell(DeviceFails(at=counter.moment(), device="printer", reason="paper_out"))
    counter.tell(DeviceRecovers(at=counter.moment(), device="printer"))
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    counter.try_again()
    assert counter.view().troubles == ()


def test_a_paper_left_over_on_a_full_card_does_not_print_by_itself_when_there_is_room(
    tmp_path: Path, rules: Rules, hand_clock: HandClock
) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    take_in(counter, "f-1")
    ledger.close()
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    again = Counter(ledger, rules, hand_clock)
    ledger._writer.execute("PRAGMA max_page_count = 1")
    while again.kept:
        again.tell(AwayButtonPresses(at=again.moment()))
    again.start()
    assert ledger.next_paper() is None
    ledger._writer.execute("PRAGMA max_page_count = 100000")
    again.try_again()
    assert [paper.state for paper in ledger.papers()] == ["failed"]
    ledger.close()


def test_damage_is_told_to_clerk_and_county(tmp_path: Path, rules: Rules, hand_clock: HandClock) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no ledger" * 600)
    ledger = Ledger.open(path, WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    counter.start()
    (trouble,) = counter.view().troubles
    assert (trouble.device, trouble.reason) == ("ledger", "damaged")
    assert trouble.detail.startswith("a-damaged-")
    assert types(ledger) == ["device.failed"]
    ledger.close()


def test_presses_from_many_threads_are_all_kept_once_and_in_one_chain(counter: Counter, ledger: Ledger) -> None:
    def press() -> None:
        for _ in range(50):
            counter.handle(KeyPresses(at=counter.moment(), grade=2))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.last_seq == 400
    assert [kept.seq for kept in ledger.unsent(1000)] == list(range(1, 401))


def test_time_alone_closes_a_prompt(tmp_path: Path, rules: Rules) -> None:
    ledger = Ledger.open(tmp_path / "a.db", WINDOW)
    counter = Counter(ledger, msgspec.structs.replace(rules, prompt_s=0.2), Clock())
    glass, loops = Hourglass(counter), Loops()
    loops.add("time", glass.step)
    loops.start()
    serve_one(counter)
    until(lambda: types(ledger)[-1] == "rating.declined")
    loops.stop()
    counter.ring()
    loops.join()
    assert loops.sound
    ledger.close()


def test_the_clock_gives_rising_moments_in_china_time() -> None:
    clock = Clock()
    first, second = clock.moment(), clock.moment()
    assert first.up <= second.up
    assert first.at.utcoffset() is not None
    assert str(first.at.utcoffset()) == "8:00:00"
    assert isinstance(kernel_synced(), bool)
    assert Clock("battery").synced


def test_a_loop_that_fails_ends_the_program() -> None:
    loops, ran = Loops(), threading.Event()

    def step() -> None:
        ran.set()
        raise ValueError("broken")

    loops.add("broken", step)
    loops.start()
    assert ran.wait(5)
    loops.wait(every=0.01)
    loops.join()
    assert not loops.sound


def test_the_watchdog_is_not_fed_while_a_loop_is_late() -> None:
    loops, gate = Loops(), threading.Event()
    fed: list[int] = []

    def step() -> None:
        gate.wait(30)

    loops.add("slow", step, allowance=0.05)
    loops.start()
    until(lambda: loops.late() == ["slow"])
    waiter = threading.Thread(target=lambda: loops.wait(lambda: fed.append(1), every=0.01))
    waiter.start()
    waiter.join(0.2)
    assert fed == []
    gate.set()
    loops.stop()
    waiter.join(5)
