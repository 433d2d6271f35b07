"""Both ends take what the published schemas allow and refuse what they forbid, whatever is done to a message.

Every message of the document is spoiled in every place with what lies at the edges, and what no schema can say (that
an id names the sequence, that a ledger is the window's own) is named here as the only other reason of a refusal.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import asyncapi, story, wire
from appliance.county.inlet import Arrived
from appliance.county.reading import Letter, Misfit, Reader, Sighting, reread, seen_again
from appliance.courier import letters
from appliance.window.facts import FACT_TYPES

DOCUMENT: Final = asyncapi.document()
MESSAGES: Final = DOCUMENT["components"]["messages"]
READER: Final = Reader(story.COUNTY)
NEWEST: Final = story.morning().facts[-1].seq
EXAMPLES: Final = {name: message["examples"][0]["payload"] for name, message in MESSAGES.items()}
BEYOND: Final = {"id", "wrong_window", "wrong_type"}
"""Reasons that no schema can say: parts of a message that do not agree with each other, or with the topic."""

FORMATS: Final = jsonschema.FormatChecker(formats=())
FORMATS.checks("date-time", raises=ValueError)(lambda text: not isinstance(text, str) or moment(text))
FORMATS.checks("date", raises=ValueError)(lambda text: not isinstance(text, str) or bool(datetime.fromisoformat(text)))


def moment(text: str) -> bool:
    return datetime.fromisoformat(text.upper()).tzinfo is not None


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(whole, format_checker=FORMATS)


VALID: Final = {name: validator(message["payload"]) for name, message in MESSAGES.items()}
MEMBERS: Final = sorted({name for it in DOCUMENT["components"]["schemas"].values() for name in it["properties"]})

LENGTHS = (0, 1, 16, 17, 20, 21, 28, 29, 64, 65, 160, 161, 200, 201, 256, 257, 400, 401)
NUMBERS = (-1, 0, 1, 2, 5, 6, 9999, 10_000, 3650, 3651, 100_000, 100_001, -100, -101, 200, 201, 2**53, 2**53 + 1)
TEXTS = (
    *("pad", "ok", "low", "idle", "sure", "1.0", "a\0b", "\0", "\n", "欧阳", "🙂" * 64, "🙂" * 65, "4", "true"),
    *("3f9c1a7e", "3F9C1A7E", "3f9c1a7e\n", "3f9c1a7", "0" * 64, "G" * 64, "0" * 63 + "\n", "1", "01", "9" * 19),
    *("/windows/430602/430602-0107-1", "/counties/430602", "/counties/430602\n", "/counties/43060", "１"),
    *("window.rating.given.v1", "window.rating.given.v2", "window.order.replay.v1", "window.order.REPLAY.v1"),
    *("12.5", "12.", "12.5\n", "1e3", "inf", "-1", "12345678901", "0." + "1" * 10, "application/json", "text/plain"),
)
TIMES = (
    *("2026-11-22T09:14:03+08:00", "2026-11-22T09:14:03.218Z", "2026-11-22t09:14:03z", "2026-11-22 09:14:03-12:00"),
    *("2026-11-22T09:14:03", "2026-11-22", "2026-11-22T09:14Z", "2026-11-22T24:00:00Z", "2026-11-22T09:14:60Z"),
    *("2026-02-29T00:00:00Z", "2026-02-29", "2028-02-29", "2026-13-01", "2026-00-10", "2026-11-22T09:60:00Z"),
    *("1970-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z", "2099-12-31T23:59:59Z", "2100-01-01T00:00:00Z"),
    *("1970-01-01", "1969-12-31", "2099-12-31", "2100-01-01", "0001-01-01", "9999-12-31T23:59:59Z"),
    *("2026-11-22T09:14:03+24:00", "2026-11-22T09:14:03+08:60", "2026-11-22T09:14:03Z\n", "2026-11-22T09:14:03.Z"),
    *("2026-11-22T09:14:03+0800", "２０２６-11-22", "+2026-11-22"),
)
SCALARS = (
    st.sampled_from([*TEXTS, *TIMES])
    | st.sampled_from([*NUMBERS, 2**63 - 1, 2**63, 10**30, 4e9, 4.1e9, -4e9, -4.1e9, 17.0, 0.5, -0.0, 1e300])
    | st.sampled_from(LENGTHS).map(lambda n: "x" * n)
    | st.none()
    | st.booleans()
    | st.text(max_size=8)
    | st.integers(-10, 10)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=6) | st.dictionaries(st.text(max_size=6), SCALARS, max_size=3)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a message, the message itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*at, name)
        yield from places(one, (*at, name))


@st.composite
def spoiled(draw: st.DrawFn, example: dict[str, Any]) -> dict[str, Any]:
    """A message with one to three things in it changed, taken out, repeated or put in."""
    value = deepcopy(example)
    for _ in range(draw(st.integers(1, 3))):
        *above, name = draw(st.sampled_from(sorted(places(value), key=str) or [("x",)]))
        holder = value
        for step in above:
            holder = holder[step]
        spoil(draw, holder, name)
    return value


def spoil(draw: st.DrawFn, holder: Any, name: Any) -> None:
    done = draw(st.sampled_from(["change", "change", "change", "take out", "add"]))
    if done == "take out":
        holder.pop(name, None) if isinstance(holder, dict) else holder.pop(name)
    elif done == "change":
        holder[name] = draw(VALUES)
    elif isinstance(holder, dict):
        holder[draw(st.sampled_from([*MEMBERS, "x"]))] = draw(VALUES)
    else:
        holder.extend([draw(VALUES | st.just(holder[name]))] * draw(st.sampled_from([1, 5, 100])))


def in_the_county(topic: str, payload: bytes) -> str:
    """Why the county refuses a message; nothing where it takes it."""
    found = READER.read(Arrived(topic.encode(), payload, len(payload), False))
    if isinstance(found, Misfit):
        return found.reason
    assert isinstance(found, Letter | Sighting)
    return "wrong_type" if isinstance(found, Letter) and not found.known else ""


def at_the_window(topic: str, payload: bytes) -> letters.Letter:
    return letters.read(story.WINDOW, story.LEDGER, NEWEST, topic, payload)


@pytest.mark.parametrize("name", sorted(FACT_TYPES))
def test_the_county_takes_of_facts_what_the_document_allows(name: str) -> None:
    topic = wire.window_topic(story.WINDOW, "fact", name)

    @settings(max_examples=50, deadline=None)
    @given(spoiled(EXAMPLES[name]))
    def agrees(said: dict[str, Any]) -> None:
        why = in_the_county(topic, msgspec.json.encode(said))
        if VALID[name].is_valid(said):
            assert why in {"", *BEYOND}
        else:
            assert why

    agrees()


@pytest.mark.parametrize("name", ["presence", "status", "health"])
def test_the_county_takes_of_a_standing_what_the_document_allows(name: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(spoiled(EXAMPLES[name]))
    def agrees(said: dict[str, Any]) -> None:
        why = in_the_county(wire.window_topic(story.WINDOW, name), msgspec.json.encode(said))
        assert (why == "") == VALID[name].is_valid(said), why

    agrees()


@settings(max_examples=200, deadline=None)
@given(spoiled(EXAMPLES["ack"]))
def test_the_window_takes_the_acknowledgements_that_the_document_allows(said: dict[str, Any]) -> None:
    found = at_the_window(wire.window_topic(story.WINDOW, "ack"), msgspec.json.encode(said))
    if not VALID["ack"].is_valid(said):
        assert isinstance(found, letters.Stray)
    elif isinstance(found, letters.Stray):
        assert said["ledger"] != story.LEDGER or any(not 1 <= low <= high <= NEWEST for low, high in said["seqs"])


@settings(max_examples=200, deadline=None)
@given(spoiled(EXAMPLES["order.replay"]))
def test_the_window_takes_the_orders_that_the_document_allows(said: dict[str, Any]) -> None:
    found = at_the_window(wire.window_topic(story.WINDOW, "order", "replay"), msgspec.json.encode(said))
    taken = isinstance(found, letters.Ordered) and found.replay is not None
    if not VALID["order.replay"].is_valid(said):
        assert not taken
    elif not taken:
        asked = said["data"]
        assert said["source"] != f"/counties/{story.COUNTY}" or not 0 <= asked["to"] - asked["from"] < wire.MAX_REPLAY


@settings(max_examples=150, deadline=None)
@given(spoiled(EXAMPLES["presence"]))
def test_the_window_takes_the_presences_that_the_document_allows(said: dict[str, Any]) -> None:
    payload = msgspec.json.encode(said)
    for topic in (wire.window_topic(story.WINDOW, "presence"), wire.county_topic(story.COUNTY, "county", "presence")):
        found = at_the_window(topic, payload)
        assert isinstance(found, letters.Stray) != VALID["presence"].is_valid(said)


# ---- what is no message at all ------------------------------------------------------------------------------------

TOPICS: Final = [
    *(wire.window_topic(story.WINDOW, name) for name in ("presence", "status", "health", "ack", "order/replay")),
    *(wire.window_topic(story.WINDOW, "fact", name) for name in (*FACT_TYPES, "rating.sung")),
    *(wire.county_topic(story.COUNTY, *rest) for rest in (("county", "presence"), ("documents", "catalogue"))),
    *("", "/", "windows/v1//", "$SYS/x", "窗" * 20_000, "windows/v1/430602/430602-0107-1/fact/" + "a.b" * 20_000),
    *("windows/v1/430602/430602-0107-1/order/" + "x" * 60_000, "\0", "windows/v1/430602/\0/status"),
]
DEEP: Final = (100, 1000, 2000, 100_000)
FORMS: Final = (
    b"%s", b'{"x":%s}', b'{"session":%s}', b'{"online":true,"session":%s}', b'{"ledger":"3f9c1a7e","seqs":%s}',
    b'{"ledger":"3f9c1a7e","seqs":[[1,%s]]}', b'{"at":%s}', b'{"id":%s}', b'{"data":%s}',
    b'{"state":"idle","since":%s}',
)  # fmt: skip
ODD: Final = (
    *(b"[" * n for n in DEEP), *(b"[" * n + b"]" * n for n in DEEP), *(b'{"a":' * n + b"1" + b"}" * n for n in DEEP),
    *(b'"' + b"[" * n + b'\\"' for n in DEEP), b'"' * 100_000, b"\\" * 100_000, b'"\\' * 100_000,
    b"9" * 5000, b"-" + b"9" * 5000, b"1" * 250_000, b"1e400", b"-1e400", b"1e-400", b"1e999999999",
    b"0." + b"1" * 5000, b"NaN", b"Infinity", b"-Infinity", b"nan", b"-", b"01", b"1.", b".5", b"+1", b"0x10", b"1_000",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\\u0000"', b'"\x00"', b'"\\x"',
    b"\xef\xbb\xbf1", b'"9999-12-31T23:59:59-23:59"', b'"0001-01-01T00:00:00+23:59"', b'"1970-01-01T00:00:00+23:59"',
    b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"9007199254740993.0", b"1e30",
    b"{}", b"[]", b"null", b"",
)  # fmt: skip


def alive(topic: str, payload: bytes) -> None:
    """Both ends make something of a message, and the county's book reads again what it took."""
    found = READER.read(Arrived(topic.encode("utf-8", "surrogatepass"), payload, len(payload), False))
    assert isinstance(found, Letter | Sighting | Misfit | None)
    assert isinstance(at_the_window(topic, payload), letters.Letter)
    kind = topic.rsplit("/", 1)[-1]
    if kind in FACT_TYPES:
        again = reread(kind, payload)
        assert (again is not None) == (isinstance(found, Letter) and found.known) or isinstance(found, Misfit)
    if kind in ("presence", "status", "health"):
        seen_again(kind, payload)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic[:60])
def test_no_bytes_are_more_than_one_message_put_aside(topic: str) -> None:
    for odd in ODD:
        for form in FORMS:
            alive(topic, form.replace(b"%s", odd))


@pytest.mark.parametrize("message", sorted(EXAMPLES))
def test_nothing_in_a_place_of_a_true_message_is_more_than_that_message(message: str) -> None:
    kind = message.removeprefix("order.")
    fact, order = message in FACT_TYPES, message.startswith("order.") and message not in FACT_TYPES
    topic = wire.window_topic(story.WINDOW, *(["fact"] if fact else ["order"] if order else []), kind)
    whole = msgspec.json.encode(EXAMPLES[message])
    for place in places(EXAMPLES[message]):
        value = deepcopy(EXAMPLES[message])
        holder = value
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = "@here@"
        for odd in ODD:
            alive(topic, msgspec.json.encode(value).replace(b'"@here@"', odd))
    for name in EXAMPLES[message]:
        alive(topic, b'{"' + name.encode() + b'":[],' + whole[1:])
        alive(topic, whole[:-1] + b',"' + name.encode() + b'":17}')
