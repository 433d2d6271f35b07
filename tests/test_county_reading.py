"""What arrives is read as what it is; what cannot be read says why, and its id where that much could be read."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import wire
from appliance.county.inlet import Arrived
from appliance.county.reading import LARGEST, Letter, Misfit, Reader, Sighting
from appliance.window.facts import RatingGiven
from tests.ground_county import WINDOW, Pen, arrived

READER = Reader("430602")
RATING = RatingGiven(visit="20261122-0009", grade=4)
TOPIC = wire.window_topic(WINDOW, "fact", "rating.given")


def fact(**change: Any) -> bytes:
    """A rating with some fields of its envelope changed; None leaves a field out."""
    said = {**msgspec.json.decode(Pen().write(RATING)), **change}
    return msgspec.json.encode({name: value for name, value in said.items() if value is not None})


def read(payload: bytes, topic: str = TOPIC) -> Letter | Sighting | Misfit | None:
    return READER.read(arrived(topic, payload))


MISFITS: list[tuple[str, bytes, str, bool]] = [
    # what it is · payload · reason · whether its id could be read
    ("nothing", b"", "not_json", False),
    ("not JSON", b"hello", "not_json", False),
    ("half of a fact", fact()[:100], "not_json", False),
    ("not UTF-8", fact().replace(b"pad", b"p\xffd"), "not_json", False),
    ("zeros", bytes(500), "not_json", False),
    ("a list", b"[1, 2]", "field", False),
    ("no id", fact(id=None), "field", False),
    ("an id that is a number", fact(id=17), "field", False),
    ("no sequence", fact(sequence=None), "field", True),
    ("a sequence that is a number", fact(sequence=1), "field", True),
    ("no time", fact(time=None), "field", True),
    ("no prevhash", fact(prevhash=None), "field", True),
    ("half a prevhash", fact(prevhash="00"), "field", True),
    ("another CloudEvents", fact(specversion="2.0"), "field", True),
    ("an uptime that is none", fact(uptime="soon"), "field", True),
    ("an endless uptime", fact(uptime="inf"), "field", True),
    ("a subject without end", fact(subject="x" * 1000), "field", True),
    ("a subject that PostgreSQL cannot hold", fact(subject="a\0b"), "field", True),
    ("an id of another sequence", fact(sequence="2"), "id", False),
    ("an id without its zeros", fact(id="3f9c1a7e-1"), "id", False),
    ("an id with a zero too many", fact(id="3f9c1a7e-0000001"), "id", False),
    ("an id with a ledger that is none", fact(id="3F9C1A7E-000001"), "id", False),
    ("sequence nought", fact(id="3f9c1a7e-000000", sequence="0"), "id", False),
    ("a sequence beyond any database", fact(id="3f9c1a7e-" + "9" * 19, sequence="9" * 19), "id", False),
    ("another window's source", fact(source="/windows/430602/430602-0107-2"), "wrong_window", True),
    ("another county's source", fact(source="/windows/430603/430602-0107-1"), "wrong_window", True),
    ("another type than the topic's", fact(type="window.rating.changed.v1"), "wrong_type", True),
    ("a type without a version", fact(type="window.rating.given"), "wrong_type", True),
    ("version nought", fact(type="window.rating.given.v0"), "wrong_type", True),
    ("a time without an offset", fact(time="2026-11-22T09:00:00"), "field", True),
    ("a time of another century", fact(time="1831-11-22T09:00:00+08:00"), "time", True),
    ("a time that is none", fact(time="nine o'clock"), "field", True),
    ("a sixth grade", fact(data={"visit": "v", "grade": 6}), "data", True),
    ("a grade that is a word", fact(data={"visit": "v", "grade": "4"}), "data", True),
    ("no visit", fact(data={"grade": 4}), "data", True),
    ("no data", fact(data=None), "data", True),
    ("a fact too large", fact(padding="x" * LARGEST["fact"]), "too_large", False),
]


@pytest.mark.parametrize(("payload", "reason", "named"), [row[1:] for row in MISFITS], ids=[row[0] for row in MISFITS])
def test_what_cannot_be_read_says_why(payload: bytes, reason: str, named: bool) -> None:
    found = read(payload)
    assert isinstance(found, Misfit)
    assert found.reason == reason
    assert (found.ledger, found.seq) == (("3f9c1a7e", 1) if named else (None, None))
    assert found.window == WINDOW
    assert found.payload == payload


TOPICS = [
    ("windows/v1/430603/430603-0107-1/fact/rating.given", "topic"),
    ("windows/v2/430602/430602-0107-1/fact/rating.given", "topic"),
    ("windows/v1/430602/430602-0107-1/fact/", "topic"),
    ("windows/v1/430602/430602-0107-1/fact/rating/given", "topic"),
    ("windows/v1/430602/430602-0107-1/facts", "topic"),
    ("windows/v1/430602/430602-0107-1/fact/RATING", "topic"),
    ("windows/v1/430602/430603-0107-1/fact/rating.given", "window_name"),
    ("windows/v1/430602/kitchen/fact/rating.given", "window_name"),
    ("windows/v1/430602/430602-0107-1-2/status", "window_name"),
    ("windows/v1/430602/430602-01 07-1/status", "window_name"),
]


@pytest.mark.parametrize(("topic", "reason"), TOPICS)
def test_a_topic_that_no_window_of_ours_has(topic: str, reason: str) -> None:
    found = read(fact(), topic)
    assert isinstance(found, Misfit)
    assert (found.reason, found.window) == (reason, None)


def test_a_topic_that_is_no_text_is_a_misfit() -> None:
    found = READER.read(Arrived(b"windows/v1/430602/\xff\xfe/status", b"{}", 2, False))
    assert isinstance(found, Misfit)
    assert found.reason == "window_name"


def test_a_collectors_own_presence_is_nobodys_business() -> None:
    assert read(b'{"online":true,"session":1}', "windows/v1/430602/county/presence") is None


@pytest.mark.parametrize(
    ("type_", "version"), [("rating.given", 2), ("rating.given", 17), ("rating.sung", 1), ("entry.opened", 1)]
)
def test_an_unknown_type_and_a_newer_version_are_read_as_they_came(type_: str, version: int) -> None:
    payload = fact(type=f"window.{type_}.v{version}", data={"anything": ["goes"]})
    found = read(payload, wire.window_topic(WINDOW, "fact", type_))
    assert isinstance(found, Letter)
    assert (found.known, found.version, found.type, found.fact, found.payload) == (False, version, type_, None, payload)


def test_a_fact_that_says_more_than_we_know_is_read() -> None:
    found = read(fact(data={"visit": "v", "grade": 4, "mood": "fine"}, extension="x"))
    assert isinstance(found, Letter)
    assert found.fact == RatingGiven(visit="v", grade=4)


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-11-22T09:00:00+08:00", "2026-11-22"),
        ("2026-11-22T23:59:59.999999+08:00", "2026-11-22"),
        ("2026-11-22T16:00:00Z", "2026-11-23"),
        ("2026-11-22T15:59:59Z", "2026-11-22"),
        ("1970-01-01T00:00:09+08:00", "1970-01-01"),
    ],
)
def test_the_day_is_chinas(time: str, day: str) -> None:
    found = read(fact(time=time))
    assert isinstance(found, Letter)
    assert found.day == day


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        ("presence", b"{}", "field"),
        ("presence", b'{"online": 1, "session": 1}', "field"),
        ("presence", b"online", "not_json"),
        ("presence", b'{"online":true,"session":1,"x":"' + b"x" * 1024 + b'"}', "too_large"),
        ("status", b'{"state":"idle"}', "field"),
        ("health", b"\x00", "not_json"),
        ("health", bytes(1_000_000), "too_large"),
    ],
)
def test_a_standing_that_cannot_be_read(kind: str, payload: bytes, reason: str) -> None:
    found = read(payload, wire.window_topic(WINDOW, kind))
    assert isinstance(found, Misfit)
    assert found.reason == reason


def test_a_cleared_standing_says_nothing() -> None:
    found = read(b"", wire.window_topic(WINDOW, "status"))
    assert isinstance(found, Sighting)
    assert found.value is None


@given(st.binary(max_size=300), st.text(max_size=60))
def test_nothing_that_arrives_stops_the_reader(payload: bytes, topic: str) -> None:
    for under in (TOPIC, wire.window_topic(WINDOW, "status"), topic):
        found = READER.read(Arrived(under.encode("utf-8", "surrogatepass"), payload, len(payload), False))
        assert isinstance(found, Misfit | Sighting)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(msgspec.json.decode(fact()))), JSON, max_size=4))
def test_any_value_in_any_field_is_a_letter_or_a_misfit(change: dict[str, Any]) -> None:
    said = {**msgspec.json.decode(fact()), **change}
    assert isinstance(read(msgspec.json.encode(said)), Letter | Misfit)
