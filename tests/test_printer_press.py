"""The print loop's body: each paper once, oldest first; the printer watched between them, reported once per change."""

from dataclasses import dataclass, field

from appliance.devices.condition import Condition, Outcome
from appliance.devices.paper_bench import BenchPrinter
from appliance.devices.press import CARE_S, POLL_S, Failing, FontsFail, FontsWork, Press, Queued, Undrawn, Working
from appliance.devices.printer import EscPosPrinter
from appliance.paper import plain
from appliance.paper.document import Document, Text, encode
from appliance.paper.glyphs import Glyphs
from appliance.paper.profile import SMALL


@dataclass
class ListTray:
    """A tray in memory; a paper named in `recalled` may not be sent any more."""

    waiting: list[Queued] = field(default_factory=list)
    life: list[tuple[str, str, str]] = field(default_factory=list)
    recalled: set[str] = field(default_factory=set)

    def put(self, paper: str, text: str) -> None:
        self.waiting.append(Queued(paper, encode(Document((Text(text),)))))

    def next_queued(self) -> Queued | None:
        return self.waiting[0] if self.waiting else None

    def sending(self, paper: str) -> bool:
        self.waiting = [one for one in self.waiting if one.paper != paper]
        if paper in self.recalled:
            return False
        self.life.append((paper, "sending", ""))
        return True

    def came_out(self, paper: str, outcome: Outcome) -> None:
        self.life.append((paper, outcome.state, outcome.reason))


class Stand:
    """A press with a bench printer, a tray, a clock to turn by hand, and what it reported."""

    def __init__(self, paths: tuple[()] | None = None, grace_s: float = 0.0) -> None:
        self.now = 100.0
        self.bench = BenchPrinter()
        self.tray = ListTray()
        self.said: list[Failing | Working | FontsFail | FontsWork | Undrawn] = []
        printer = EscPosPrinter(self.bench, answer_s=0.05, confirm_s=0.2, mute_s=0.05, slack_s=0.1)
        self.press = Press(
            printer, SMALL, Glyphs(paths), self.tray, self.said.append, grace_s=grace_s, clock=lambda: self.now
        )

    def work(self, steps: int = 3) -> float:
        """Steps as the loop takes them when it need not wait; returns the wait that the last one wished."""
        waits = [self.press.step() for _ in range(steps)]
        return waits[-1]

    @property
    def papers(self) -> list[str]:
        return [plain.paint(paper.sheet).strip() for paper in reversed(self.bench.papers())]


def test_papers_are_printed_once_and_oldest_first() -> None:
    stand = Stand()
    stand.tray.put("1", "甲")
    stand.tray.put("2", "乙")
    assert stand.press.step() == 0.0
    stand.work()
    assert stand.papers == ["甲", "乙"]
    assert stand.tray.life == [
        ("1", "sending", ""),
        ("1", "confirmed", ""),
        ("2", "sending", ""),
        ("2", "confirmed", ""),
    ]


def test_a_paper_is_committed_as_sending_before_its_first_byte() -> None:
    stand = Stand()

    @dataclass
    class Watching(ListTray):
        papers_then: list[str] | None = None

        def sending(self, paper: str) -> bool:
            self.papers_then = list(stand.papers)
            return super().sending(paper)

    tray = Watching()
    tray.put("1", "甲")
    press = Press(EscPosPrinter(stand.bench), SMALL, Glyphs(), tray, stand.said.append)
    press.step()
    assert tray.papers_then == []
    assert stand.papers == ["甲"]


def test_a_paper_that_may_not_be_sent_is_left_alone() -> None:
    stand = Stand()
    stand.tray.put("1", "甲")
    stand.tray.recalled.add("1")
    stand.work()
    assert stand.papers == []
    assert stand.tray.life == []


def test_an_idle_printer_is_looked_at_now_and_then_and_one_in_trouble_more_often() -> None:
    stand = Stand()
    assert stand.work() == POLL_S
    assert stand.said == [Working()]
    stand.bench.turn(paper=False)
    stand.now += POLL_S - 1
    assert stand.work() == 1.0
    assert stand.said == [Working()]
    stand.now += 1
    stand.work()
    assert stand.said == [Working(), Failing("paper_out", "")]
    stand.bench.turn(paper=True)
    stand.now += CARE_S
    assert stand.work() == POLL_S
    assert stand.said[-1] == Working()


def test_failures_and_recoveries_are_reported_once_per_change() -> None:
    stand = Stand()
    for knobs in (
        {},
        {"paper": False},
        {},
        {"cover_open": True},
        {"plugged": False},
        {},
        {"plugged": True, "cover_open": False, "paper": True},
    ):
        stand.bench.turn(**knobs)
        stand.work()
        stand.now += POLL_S
    reasons = [said.reason if isinstance(said, Failing) else "works" for said in stand.said]
    assert reasons == ["works", "paper_out", "cover_open", "absent", "works"]


def test_a_mute_printer_or_one_short_of_paper_is_no_failure() -> None:
    stand = Stand()
    stand.bench.turn(mute=True)
    stand.work()
    assert stand.press.condition == Condition("unknown", "no_answer")
    stand.bench.turn(mute=False, near_end=True)
    stand.now += POLL_S
    stand.work()
    assert stand.press.condition == Condition("ok", "near_end")
    assert stand.said == [Working()]


def test_a_paper_that_fails_is_not_tried_again_and_the_reason_is_reported_at_once() -> None:
    stand = Stand()
    stand.work()
    stand.bench.turn(plugged=False)
    stand.tray.put("1", "甲")
    stand.work()
    assert stand.tray.life == [("1", "sending", ""), ("1", "failed", "absent")]
    assert stand.said == [Working(), Failing("absent", "the cable is out")]
    stand.bench.turn(plugged=True)
    stand.now += POLL_S
    stand.work()
    assert stand.papers == []
    assert stand.said[-1] == Working()


def test_a_confirmed_paper_ends_a_failure_without_waiting_for_the_next_look() -> None:
    stand = Stand()
    stand.bench.turn(paper=False)
    stand.work()
    stand.bench.turn(paper=True)
    stand.tray.put("1", "甲")
    stand.work(1)
    assert stand.said == [Failing("paper_out", ""), Working()]


def test_a_paper_cut_off_in_the_middle_is_unconfirmed() -> None:
    stand = Stand()
    stand.bench.turn(unplug_after=12)
    stand.tray.put("1", "甲" * 40)
    stand.work()
    assert stand.tray.life[-1] == ("1", "unconfirmed", "unplugged")
    assert [said.reason for said in stand.said if isinstance(said, Failing)] == ["absent"]


def test_what_is_no_document_fails_and_the_next_paper_is_printed() -> None:
    stand = Stand()
    stand.tray.waiting.append(Queued("1", b'{"blocks": [{"type": "poem"}]}'))
    stand.tray.put("2", "乙")
    stand.work()
    assert stand.tray.life[1:] == [("1", "failed", "unreadable"), ("2", "sending", ""), ("2", "confirmed", "")]
    assert stand.papers == ["乙"]


def test_characters_that_no_font_has_are_reported_with_their_paper() -> None:
    stand = Stand(paths=())
    stand.tray.put("1", "王㛃")
    stand.work(1)
    assert stand.said == [Undrawn("1", ("㛃",)), Working()]
    assert stand.papers == ["王〓\n〓=U+36C3"]


def test_a_printer_that_comes_within_the_first_seconds_is_no_fault_and_one_that_does_not_is() -> None:
    """At a boot the window is up before USB is; a failed and recovered pair at every boot would be noise."""
    stand = Stand(grace_s=20)
    stand.bench.turn(plugged=False)
    stand.work()
    assert (stand.said, stand.press.condition.reason) == ([], "absent")
    stand.now += 15
    stand.bench.turn(plugged=True)
    stand.work()
    assert stand.said == [Working()]
    late = Stand(grace_s=20)
    late.bench.turn(plugged=False)
    late.work()
    late.now += 21
    late.work()
    assert [type(word) for word in late.said] == [Failing]


def test_a_paper_of_the_first_seconds_waits_for_a_printer_that_is_still_coming_up() -> None:
    stand = Stand(grace_s=20)
    stand.bench.turn(plugged=False)
    stand.tray.put("1", "甲")
    stand.work()
    assert stand.tray.life == []
    stand.now += 5
    stand.bench.turn(plugged=True)
    stand.work()
    assert stand.tray.life[-1] == ("1", "confirmed", "")
    late = Stand(grace_s=20)
    late.bench.turn(plugged=False)
    late.tray.put("1", "甲")
    late.work()
    late.now += 21
    late.work()
    assert late.tray.life[-1] == ("1", "failed", "absent")
