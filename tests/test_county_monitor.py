"""What the county should look at first, as tables: presence, silence, levels, order."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import msgspec
import pytest

from appliance.asyncapi import HEALTH, STATUS
from appliance.county import phrases
from appliance.county.monitor import CALM, WORST_FIRST, Fault, Level, Missing, Row, Seen, microseconds, row, worst_first
from appliance.county.presence import SILENCE_S, heeded, reach
from appliance.wire import AwayNote, ClerkCard, OutboxState, PadState, Presence, PrinterState
from tests.ground_county import NINE, WINDOW

NOW = microseconds(NINE)
MINUTE = 60_000_000
FINE = msgspec.structs.replace(HEALTH, printer=PrinterState(state="ok", paper="ok"))
HERE, GONE = Presence(online=True, session=7), Presence(online=False, session=7)


def online(session: int) -> Presence:
    return Presence(online=True, session=session)


def offline(session: int) -> Presence:
    return Presence(online=False, session=session)


@pytest.mark.parametrize(
    ("said", "last_online", "counts"),
    [
        (online(5), None, True),
        (offline(5), None, True),
        (offline(5), 5, True),
        (offline(6), 5, True),  # the online of session 6 was never heard
        (offline(4), 5, False),  # the will of a connection that was replaced long ago
        (online(5), 5, True),
        (online(1), 400, True),  # a new card counts from one
        (offline(1), 1, True),  # and goes
        (offline(400), 1, True),
    ],
)
def test_an_offline_older_than_the_last_online_is_ignored(
    said: Presence, last_online: int | None, counts: bool
) -> None:
    assert heeded(said, last_online) is counts


@pytest.mark.parametrize(
    ("presence", "health_s_ago", "found"),
    [
        (HERE, 0, "online"),
        (HERE, SILENCE_S - 1, "online"),
        (HERE, SILENCE_S, "silent"),  # whatever presence says
        (HERE, 10_000, "silent"),
        (GONE, 0, "offline"),
        (GONE, SILENCE_S - 1, "offline"),
        (GONE, SILENCE_S, "silent"),
        (HERE, None, "online"),
        (GONE, None, "offline"),
        (None, 0, "online"),
        (None, SILENCE_S, "silent"),
        (None, None, "unknown"),
    ],
)
def test_a_window_without_health_for_three_minutes_is_silent(
    presence: Presence | None, health_s_ago: int | None, found: str
) -> None:
    assert reach(presence, health_s_ago) == found


def seen(state: str = "idle", window: str = WINDOW, **more: Any) -> Seen:
    minutes = more.pop("minutes", 10)
    status = msgspec.structs.replace(
        STATUS, state=state, since=NINE - timedelta(minutes=minutes), away=more.pop("away", None)
    )
    known: dict[str, Any] = {
        "presence": HERE,
        "presence_us": NOW - 3 * MINUTE,
        "status": status,
        "health": FINE,
        "health_us": NOW,
    }
    return Seen(window, **(known | more))


def judged(it: Seen) -> Row:
    return row(it, NOW, None if it.health_us is None else (NOW - it.health_us) / 1e6)


PRINTER = {"printer": Fault("printer", "paper_out", NOW - 30 * MINUTE)}
LATE, IN_TIME = AwayNote("会议", NINE - timedelta(minutes=1)), AwayNote("会议", NINE + timedelta(minutes=1))
LEVELS: list[tuple[str, Seen, Level]] = [
    ("idle", seen(), "idle"),
    ("serving", seen("serving"), "serving"),
    ("rating", seen("rating"), "rating"),
    ("no clerk", seen("closed"), "closed"),
    ("away, no time said", seen("away", away=AwayNote("", None)), "away"),
    ("away, in time", seen("away", away=IN_TIME), "away"),
    ("away, and late", seen("away", away=LATE), "overdue"),
    ("away without a note", seen("away"), "away"),
    ("a state of a newer version", seen("dancing"), "unknown"),
    ("no status yet", seen(status=None), "unknown"),
    ("a printer out of paper", seen("serving", faults=PRINTER), "fault"),
    ("a fault is worse than away", seen("away", away=LATE, faults=PRINTER), "fault"),
    ("health says bad before any fact", seen(health=HEALTH), "fault"),
    ("a key held down", seen(health=msgspec.structs.replace(FINE, pad=PadState(state="ok", stuck=[3]))), "fault"),
    ("the ledger cannot write", seen("fault"), "fault"),
    ("a chain that does not hold", seen(breaks=1), "broken"),
    ("misfits alone are only shown", seen(misfits=4, unknown=2), "idle"),
    ("offline while serving", seen("serving", presence=GONE), "offline"),
    ("offline is worse than a fault", seen(presence=GONE, faults=PRINTER), "offline"),
    ("silent while serving", seen("serving", health_us=NOW - 4 * MINUTE), "silent"),
    ("silent though presence says online", seen("closed", health_us=NOW - 4 * MINUTE), "silent"),
    ("switched off in the evening", seen("closed", presence=GONE, health_us=NOW - 600 * MINUTE), "off"),
    ("just switched off", seen("closed", presence=GONE), "off"),
    ("cut off while at work, long ago", seen("idle", presence=GONE, health_us=NOW - 600 * MINUTE), "silent"),
]


@pytest.mark.parametrize(("it", "level"), [line[1:] for line in LEVELS], ids=[line[0] for line in LEVELS])
def test_a_window_has_one_level(it: Seen, level: Level) -> None:
    assert judged(it).level == level


TWO_THINGS: list[tuple[str, Seen, str, str]] = [
    ("paper out while serving", seen("serving", faults=PRINTER), "serving", "fault"),
    ("paper out, and the clerk is late", seen("away", away=LATE, faults=PRINTER), "overdue", "fault"),
    ("cut off while serving, with a fault", seen("serving", presence=GONE, faults=PRINTER), "serving", "offline fault"),
    ("a fault and a broken chain", seen("rating", faults=PRINTER, breaks=2), "rating", "fault broken"),
    ("facts that the county lacks", seen("idle", missing=Missing(asked=3)), "idle", "broken"),
    ("facts that are lost", seen("idle", missing=Missing(lost=3)), "idle", "broken"),
    ("another window's ledger", seen("serving", foreign=7, copied=True), "serving", "broken"),
    ("another window's ledger, once", seen("serving", foreign=7), "serving", ""),
    ("switched off, a chain broken", seen("closed", presence=GONE, breaks=1), "off", "broken"),
    ("nothing wrong", seen("away", away=LATE), "overdue", ""),
]


@pytest.mark.parametrize(("it", "doing", "wrong"), [line[1:] for line in TWO_THINGS], ids=[it[0] for it in TWO_THINGS])
def test_what_a_window_does_and_what_is_wrong_are_two_things(it: Seen, doing: str, wrong: str) -> None:
    found = judged(it)
    assert (found.doing, " ".join(found.wrong)) == (doing, wrong)
    assert found.level == (found.wrong[0] if wrong else doing)


def test_a_row_has_few_notes_and_says_how_many_there_are() -> None:
    faults = {f"d{n}": Fault(f"d{n}", "absent") for n in range(9000)}
    notes = phrases.notes(judged(seen(faults=faults, missing=Missing(asked=2))))
    assert len(notes) == 3
    assert notes[0] == phrases.MISSING.format(2)
    assert notes[-1].endswith("等 9001 项")


FAR = [datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), datetime.max.replace(tzinfo=UTC)]
FAR += [datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))]


@pytest.mark.parametrize("at", FAR)
def test_no_time_is_too_far_to_be_shown(at: datetime) -> None:
    status = msgspec.structs.replace(STATUS, state="away", since=at, away=AwayNote("会议", at))
    found = judged(seen(status=status))
    assert phrases.since(found.since_us, NINE.date())
    assert phrases.whereabouts(found)
    for at_us in (-(2**62), 2**62, found.since_us or 0):
        assert phrases.since(at_us, NINE.date())
        assert phrases.now(at_us)
    assert worst_first([found, judged(seen())])


@pytest.mark.parametrize(
    ("rated", "visits", "said"), [(0, 0, "—"), (0, 15, "0%"), (1, 15, "7%"), (15, 15, "100%"), (3, 2, "100%")]
)
def test_the_rate_is_that_of_the_visits_that_were_rated(rated: int, visits: int, said: str) -> None:
    assert phrases.rate(rated, visits) == said


def test_a_window_is_called_as_its_display_calls_it() -> None:
    assert phrases.window(judged(seen(status=msgspec.structs.replace(STATUS, name="二号窗口")))) == "二号窗口"
    assert phrases.window(judged(seen(status=msgspec.structs.replace(STATUS, name=" ")))) == "1 号窗口"
    assert phrases.window(judged(seen(status=None))) == "1 号窗口"


def test_every_level_is_ordered_named_and_tried() -> None:
    assert set(WORST_FIRST) == set(get_args(Level)) == set(phrases.LEVELS) == {level for _, _, level in LEVELS}
    assert len(WORST_FIRST) == len(set(WORST_FIRST))
    assert set(WORST_FIRST[-len(CALM) :]) == CALM


def test_the_worst_stands_first() -> None:
    one_of_each = {level: it for _, it, level in LEVELS}
    rows = [judged(it) for it in one_of_each.values()]
    assert [it.level for it in worst_first(reversed(rows))] == list(WORST_FIRST)


def test_within_a_level_the_longest_stands_first_then_by_name() -> None:
    rows = [
        judged(seen("serving", "430602-0107-2", minutes=5)),
        judged(seen("serving", "430602-0107-1", minutes=5)),
        judged(seen("serving", "430602-0301-1", minutes=50)),
    ]
    assert [it.window for it in worst_first(rows)] == ["430602-0301-1", "430602-0107-1", "430602-0107-2"]


@pytest.mark.parametrize(
    ("it", "minutes_ago"),
    [
        (seen("serving", minutes=12), 12),
        (seen("serving", health_us=NOW - 9 * MINUTE), 9),
        (seen("serving", presence=GONE), 3),
        (seen("serving", faults=PRINTER, minutes=2), 30),
        (seen(health=HEALTH, minutes=8), 8),
        (seen(status=None), 3),
    ],
)
def test_since_when(it: Seen, minutes_ago: int) -> None:
    assert judged(it).since_us == NOW - minutes_ago * MINUTE


def test_nobody_is_called_silent_for_the_time_in_which_we_did_not_listen() -> None:
    old = seen("serving", health_us=NOW - 10 * MINUTE)
    assert judged(old).level == "silent"
    assert row(old, NOW, 60.0).level == "serving"


def test_a_fact_and_health_that_say_the_same_are_one_fault() -> None:
    assert judged(seen(health=HEALTH, faults=PRINTER)).faults == (PRINTER["printer"],)


@pytest.mark.parametrize(
    ("outbox", "unsent"),
    [(OutboxState(depth=7, oldest_s=3), 7), (OutboxState(depth=0, oldest_s=None), 0)],
)
def test_the_number_not_yet_sent_is_the_windows_own(outbox: OutboxState, unsent: int) -> None:
    assert judged(seen(health=msgspec.structs.replace(FINE, outbox=outbox))).unsent == unsent


def test_every_sentence_of_a_row_is_chinese() -> None:
    for _, it, _ in LEVELS:
        lacking = Missing(1, 2, 3)
        found = judged(msgspec.structs.replace(it, breaks=1, misfits=9, unknown=3, foreign=2, cut=4, missing=lacking))
        others = (phrases.whereabouts(found), phrases.since(found.since_us, NINE.date()), phrases.details(found))
        for said in (*phrases._all_notes(found), *phrases.notes(found), phrases.state(found), *others):
            assert not any(letter.isascii() and letter.isalpha() for letter in said), said


def test_a_code_that_we_do_not_know_is_still_a_sentence() -> None:
    assert phrases.fault(Fault("teleporter", "flux")) == phrases.DEVICE_ELSE + phrases.REASON_ELSE


def test_since_names_the_day_when_it_was_not_today() -> None:
    assert phrases.since(NOW, NINE.date()) == "09:00 起"
    assert phrases.since(NOW, NINE.date() + timedelta(days=1)) == "11月22日 09:00 起"
    assert phrases.since(None, NINE.date()) == ""


def test_a_clerk_is_shown_by_name_and_number() -> None:
    status = judged(seen("serving")).status
    assert status is not None
    assert status.clerk == ClerkCard("0107", "王敏")
