"""The wire between a window and its county: topics, envelopes, presence; both ends import it.

Every payload is written once, with the commit, and published byte for byte the same however often it is sent.

What comes over the wire comes from outside, so every field has its bounds, here and in `window/facts.py`, and nowhere
else; the published document is made from them. Three things a struct cannot say are functions here that every reader
calls: `too_deep` before it decodes, `whole` for whole numbers written as 17.0, `flawless` for times and U+0000. `read`
is all of that for everything but facts, which the county reads by thousands a second.
"""

import hashlib
import re
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

ROOT = "windows/v1"
FIRST_PREVHASH = "0" * 64
MAX_PAYLOAD = 256 * 1024
"""Bytes a fact may have; whatever is larger is no fact of ours."""
MAX_TOPIC = 256
"""Bytes a topic may have."""
MAX_DEPTH = 32
"""Brackets that may stand open at once in any JSON from outside."""
MAX_IN_FLIGHT = 128
"""Facts that a window may have sent and the county not acknowledged."""
MAX_RANGES = 10_000
"""Ranges that one acknowledgement may name."""
MAX_REPLAY = 10_000
"""Sequences that one `replay` may ask for."""
FIRST_YEAR, LAST_YEAR = 1970, 2099
"""A Pi without a clock of its own says 1970; what is before that or after this century is no time at all."""

WINDOW: Final = r"[0-9]{6}-[0-9A-Za-z]{1,16}-[0-9]{1,3}"
"""A window's name, as a pattern."""
UPTIME: Final = r"[0-9]{1,10}(\.[0-9]{1,9})?"
FACT_TYPE: Final = r"[a-z][a-z_]{0,31}(\.[a-z][a-z_]{0,31}){1,3}"
"""A fact's type as it stands in its topic."""

# `$` would let a line feed through in Python, and no other dialect has `\Z`.
_END = r"(?![\s\S])"
_YEAR = r"^(19[7-9][0-9]|20[0-9]{2})"
_TIME = _YEAR + r"-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})" + _END
_DAY = _YEAR + r"-[0-9]{2}-[0-9]{2}" + _END


def _text(most: int, least: int | None = None) -> Any:
    # Enforced by `flawless`: a pattern in the struct would cost the county a quarter of a microsecond for every text.
    return Meta(min_length=least, max_length=most, extra_json_schema={"pattern": r"^[^\u0000]*" + _END})


def _written(pattern: str) -> Any:
    return Meta(pattern=f"^{pattern}{_END}")


def _told(pattern: str, most: int) -> Any:
    # Enforced by the county's reader in its own way: these stand in every fact.
    return Meta(max_length=most, extra_json_schema={"pattern": f"^{pattern}{_END}"})


Number = Annotated[str, _text(64)]
"""What numbers a visit, a case, a paper, an absence, a form, a clerk or an item."""
Name = Annotated[str, _text(200)]
Word = Annotated[str, _text(200)]
"""A code such as `paper_out`."""
Key = Annotated[str, _text(64)]
"""The name of a probe, a document, a version, a boot."""
Detail = Annotated[str, _text(400)]
"""A library's own words."""
OrderId = Annotated[str, _text(200, 1)]
LedgerId = Annotated[str, _written("[0-9a-f]{8}")]
Seq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Session = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=4e9)]
Offset = Annotated[float, Meta(ge=-4e9, le=4e9)]
"""Seconds by which a clock was wrong: one that began in 1970 may be off by a century."""
Time = Annotated[datetime, Meta(tz=True, extra_json_schema={"pattern": _TIME})]
Day = Annotated[date, Meta(extra_json_schema={"pattern": _DAY})]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact as a CloudEvents 1.0 structured JSON event, with the extensions that a machine without a clock needs."""

    specversion: Literal["1.0"]
    id: Annotated[str, _told("[0-9a-f]{8}-([0-9]{6}|[1-9][0-9]{6,18})", 28)]
    sequence: Annotated[str, _told("[1-9][0-9]{0,18}", 19)]
    source: Annotated[str, _told(f"/windows/[0-9]{{6}}/{WINDOW}", 64)]
    type: Annotated[str, _told(rf"window\.{FACT_TYPE}\.v[1-9][0-9]{{0,3}}", 160)]
    subject: Annotated[str, _text(256)]
    time: Time
    clocksynced: bool
    bootid: Key
    uptime: Annotated[str, _told(UPTIME, 20)]
    prevhash: Annotated[str, _told("[0-9a-f]{64}", 64)]
    datacontenttype: Literal["application/json"] = "application/json"
    data: msgspec.Raw = msgspec.Raw(b"null")


class Presence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether an end of the wire is there; `session` goes up by one with every connection."""

    online: bool
    session: Session
    at: Time | None = None


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The county's word that it has these sequences, in inclusive ranges, sent after its COMMIT."""

    ledger: LedgerId
    seqs: Annotated[list[tuple[Seq, Seq]], Meta(max_length=MAX_RANGES)]


class ClerkCard(msgspec.Struct, frozen=True):
    """Who serves at the window."""

    number: Number
    name: Name


class AwayNote(msgspec.Struct, frozen=True):
    """Why the window is left and until when."""

    reason: Word
    expected_back: Time | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What anyone may see of a window now; `name` is the window's as its display shows it."""

    state: Literal["closed", "idle", "serving", "rating", "away", "fault"]
    since: Time
    clerk: ClerkCard | None
    away: AwayNote | None
    case_open: bool
    waiting: Count
    served_today: Count
    name: Name = ""


class PrinterState(msgspec.Struct, frozen=True, kw_only=True):
    """How the receipt printer is; `paper` is ok, low, out or unknown, `reason` empty while nothing is wrong."""

    state: Literal["ok", "bad", "unknown"]
    paper: Key = "unknown"
    reason: Word = ""


class PadState(msgspec.Struct, frozen=True, kw_only=True):
    """How the rating pad is, with the keys that are held down too long."""

    state: Literal["ok", "bad", "unknown"]
    stuck: Annotated[list[Literal[1, 2, 3, 4, 5]], Meta(max_length=5)] = []


class ClockState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the clock is to be trusted, and what set it: ntp, rtc, none or unknown."""

    synced: bool
    source: Key = "unknown"


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """What the county does not have yet: how many facts, and the age of the oldest, null when none waits.

    `newest` is the last sequence that `ledger` has given, so that the county sees what is missing at its end.
    """

    depth: Count
    oldest_s: Seconds | None
    ledger: LedgerId | None = None
    newest: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a window's parts are, retained, on change and every 60 s."""

    at: Time
    version: Key
    printer: PrinterState
    pad: PadState
    camera: Key
    clock: ClockState
    outbox: OutboxState
    disk_free_mb: Count | None
    temperature_c: Annotated[float, Meta(ge=-100, le=200)] | None
    throttled: bool | None
    probes: Annotated[dict[Key, Key], Meta(max_length=16)]
    documents: Annotated[dict[Key, Key], Meta(max_length=32)]


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order of the county, repeated until the window's fact `order.done` or `order.refused` names its id."""

    specversion: Literal["1.0"]
    id: OrderId
    source: Annotated[str, _written("/counties/[0-9]{6}")]
    type: Annotated[str, _written(r"window\.order\.[a-z][a-z_]{0,31}\.v[1-9][0-9]{0,3}")]
    time: Time
    data: msgspec.Raw
    datacontenttype: Literal["application/json"] = "application/json"
    expires: Time | None = None
    signature: Annotated[str, _text(200)] | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What the order `replay` asks for: these sequences of that ledger again, both ends included."""

    ledger: LedgerId
    first: Seq = msgspec.field(name="from")
    last: Seq = msgspec.field(name="to")
    by: Name


# ---- what a struct cannot say ----------------------------------------------------------------------------------

# Possessive, and without need of the closing quote: nothing that arrives makes it look at a byte twice.
_STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[{\]}]")


def too_deep(payload: bytes) -> bool:
    """Whether more than MAX_DEPTH brackets stand open at once somewhere in this JSON."""
    # A fact has an object within another and mostly no list; to find no third is twice as fast as to count all.
    if payload.find(b"[") < 0 and payload.find(b"{", 1, payload.rfind(b"{")) < 0:
        return False
    if payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", payload)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def whole(value: Any) -> Any:
    """JSON values with 17.0 as 17, which is the same number: JSON has but one kind."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    return {name: whole(one) for name, one in value.items()} if isinstance(value, dict) else value


FLAW: Final = f"a year before {FIRST_YEAR} or after {LAST_YEAR}, or U+0000 in a text"


def in_our_years(value: date | None) -> bool:
    """Whether a time or a day, if it is there, lies within the years that are ours."""
    return value is None or FIRST_YEAR <= value.year <= LAST_YEAR


def flawless(value: Any) -> bool:
    """Whether every time and day in it lies within the years that are ours, and no text holds U+0000."""
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, date):
        return in_our_years(value)
    if isinstance(value, msgspec.Struct):
        return all(flawless(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return all(flawless(name) and flawless(one) for name, one in value.items())
    return all(map(flawless, value)) if isinstance(value, list | tuple) else True


class TooDeep(ValueError):
    """More brackets stand open at once than any message of ours has."""


S = TypeVar("S", bound=msgspec.Struct)


def read(payload: bytes, decoder: "msgspec.json.Decoder[S]") -> S:
    """A presence, status, health, ack or order, held to every bound.

    Raises TooDeep, ValidationError for JSON that is no such thing, and DecodeError or UnicodeDecodeError for no JSON.
    """
    if too_deep(payload):
        raise TooDeep(f"more than {MAX_DEPTH} brackets stand open")
    payload.decode()  # msgspec does not look at the text of fields that it does not know
    value = lenient(payload, decoder)
    if not flawless(value):
        raise msgspec.ValidationError(FLAW)
    return value


def lenient(payload: bytes | msgspec.Raw, decoder: "msgspec.json.Decoder[S]") -> S:
    """What `decoder` makes of a payload, also of one that writes its whole numbers as 17.0."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        return msgspec.convert(whole(msgspec.json.decode(payload)), decoder.type)


def window_topic(window: str, *rest: str) -> str:
    """`windows/v1/{county}/{window}/…`; the county is the first part of the window's own name."""
    return "/".join((ROOT, window.split("-", 1)[0], window, *rest))


def county_topic(county: str, *rest: str) -> str:
    """`windows/v1/{county}/…` for what belongs to the county and not to one window."""
    return "/".join((ROOT, county, *rest))


def fact_id(ledger: str, seq: int) -> str:
    """`3f9c1a7e-000017`: a gap shows, a duplicate is harmless."""
    return f"{ledger}-{seq:06d}"


def prevhash(payload: bytes | None) -> str:
    """The hex SHA-256 of the payload of the fact before, byte for byte; 64 zeros for the first."""
    return FIRST_PREVHASH if payload is None else hashlib.sha256(payload).hexdigest()


def encode(value: msgspec.Struct) -> bytes:
    """A presence, ack, status, health or envelope as the bytes that go over the wire."""
    return msgspec.json.encode(value)


def runs(seqs: list[int]) -> list[tuple[int, int]]:
    """Sequences folded into inclusive ranges: [1, 2, 3, 7] -> [(1, 3), (7, 7)]."""
    found: list[tuple[int, int]] = []
    for seq in sorted(set(seqs)):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return found
