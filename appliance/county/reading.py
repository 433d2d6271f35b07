"""Reads what arrives: each message is a letter (a fact), a sighting (presence, status, health) or a misfit.

Nothing here keeps anything: the same message reads the same way for ever. Rules, each a reason of a misfit:

- the topic names a window of our county, and `source`, `type` and `id` agree with it and with each other;
- a fact of a type and version that we know has the data of that type;
- a fact of an unknown type or another version is read as it came: the county keeps what it does not understand;
- every bound of `wire` and `window/facts` holds: sizes, ranges, times, depth;
- whatever else goes wrong with a message, in ways that nobody thought of, makes that one message a misfit.
"""

import re
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, get_args, get_type_hints

import msgspec

from appliance import wire
from appliance.county.inlet import Arrived
from appliance.guard import words
from appliance.window.facts import FACT_TYPES, Fact

Reason = Literal[
    "too_large",
    "too_deep",
    "topic",
    "window_name",
    "not_json",
    "field",
    "wrong_window",
    "wrong_type",
    "id",
    "time",
    "data",
    "conflict",
    "foreign_ledger",
    "too_many_ledgers",
    "unkeepable",
    "unreadable",
]
Sight = Literal["presence", "status", "health"]

WINDOW: Final = re.compile(wire.WINDOW)
TYPE: Final = re.compile(wire.FACT_TYPE)
UPTIME: Final = re.compile(wire.UPTIME).fullmatch
HASH: Final = re.compile("[0-9a-f]{64}").fullmatch
ID: Final = re.compile(r"([0-9a-f]{8})-([0-9]{6,19})")
LARGEST: Final = {"fact": wire.MAX_PAYLOAD, "presence": 1024, "status": 16 * 1024, "health": 64 * 1024}
"""Bytes that each kind of message may have."""
READ: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "presence": msgspec.json.Decoder(wire.Presence),
    "status": msgspec.json.Decoder(wire.Status),
    "health": msgspec.json.Decoder(wire.Health),
}
DATA: Final[dict[str, msgspec.json.Decoder[Fact]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in FACT_TYPES.items()
}


def _times(kind: type[Fact]) -> tuple[str, ...]:
    """The fields of a fact that hold a time or a day."""
    hints = get_type_hints(kind)
    return tuple(name for name, hint in hints.items() if {hint, *get_args(hint)} & {datetime, date})


TIMES: Final = {name: _times(kind) for name, kind in FACT_TYPES.items()}
VERSION: Final = 1
"""The newest version of a fact's data that we know, of every type."""
LONGEST: Final = 200
"""Characters kept of a topic and of what is wrong with a misfit."""
OF_A_LONG_TOPIC: Final = 64
"""Bytes kept of a topic longer than any of ours."""
ROUTES: Final = 100_000
"""Topics remembered: those of 4,000 windows, each with every type that there is."""
DAY = 86_400
CHINA_S = 8 * 3600
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

LAST_SEQ = 2**63 - 1


class Letter(msgspec.Struct, frozen=True, gc=False):
    """One fact that was read; `time_us` in microseconds since 1970 as the window said it, `day` by China's calendar."""

    ledger: str
    seq: int
    window: str
    type: str
    version: int
    known: bool
    subject: str
    day: str
    time_us: int
    synced: bool
    boot: str
    up: float
    prevhash: str
    payload: bytes
    fact: Fact | None

    def misfit(self, reason: Reason) -> "Misfit":
        """This fact as one that could be read and yet not be kept."""
        topic = wire.window_topic(self.window, "fact", self.type)
        return Misfit(reason, topic, self.window, self.payload, len(self.payload), "", self.ledger, self.seq)


class Sighting(msgspec.Struct, frozen=True):
    """A presence, status or health of a window; `value` is None when the retained message was cleared."""

    window: str
    kind: Sight
    value: wire.Presence | wire.Status | wire.Health | None
    payload: bytes
    retained: bool
    heard_us: int = 0
    """When the window spoke, as far as we know: the broker's repeating of it does not count."""


class Misfit(msgspec.Struct, frozen=True):
    """What cannot be read, and why. `window` is the topic's, if it names one; `ledger` and `seq` are its id."""

    reason: Reason
    topic: str
    window: str | None
    payload: bytes
    size: int
    detail: str = ""
    ledger: str | None = None
    seq: int | None = None


class _Named(msgspec.Struct):
    id: str


class _Route(msgspec.Struct, frozen=True):
    """What a topic says about the messages under it."""

    topic: str
    window: str | None
    kind: str
    type: str = ""
    full: str = ""
    source: str = ""
    data: msgspec.json.Decoder[Fact] | None = None
    times: tuple[str, ...] = ()


class Reader:
    """Reads the messages of one county."""

    def __init__(self, county: str) -> None:
        self._county = county
        self._under = f"{wire.ROOT}/{county}/"
        self._routes: dict[bytes, _Route] = {}
        self._days: dict[int, str] = {}
        self._ledgers: set[str] = set()
        self._envelope = msgspec.json.Decoder(wire.Envelope)

    def read(self, arrived: Arrived) -> Letter | Sighting | Misfit | None:
        """One message as what it is; None for a collector's own presence, which our subscription brings as well."""
        try:
            route = self._routes.get(arrived.topic) or self._learn(arrived.topic)
            if route.window is None:
                return self._nobodys(route, arrived)
            if arrived.size > LARGEST[route.kind]:
                return self._misfit(route, arrived, "too_large", str(arrived.size))
            if wire.too_deep(arrived.payload):
                return self._misfit(route, arrived, "too_deep")
            return self._letter(route, arrived) if route.type else self._sighting(route, arrived)
        except Exception as error:  # noqa: BLE001  one message must never end the work on all others
            return self._misfit(_cut_off(arrived.topic), arrived, "unreadable", words(error))

    def _nobodys(self, route: _Route, arrived: Arrived) -> Misfit | None:
        if route.kind == "ours":
            return None
        return self._misfit(route, arrived, "window_name" if route.kind else "topic")

    # ---- facts

    def _letter(self, route: _Route, arrived: Arrived) -> Letter | Misfit:
        payload = arrived.payload
        try:
            said = self._envelope.decode(payload)
            if not payload.isascii():
                payload.decode()  # msgspec does not look at the text within `data`
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._unread(route, arrived, error)
        named = self._number(said.id, said.sequence)
        if named is None:
            return self._misfit(route, arrived, "id", said.id)
        version = VERSION if said.type == route.full else _version(said.type, route.type)
        reason = _flaw(said, route, version)
        if reason is not None:
            return self._misfit(route, arrived, reason, said.source, *named)
        # Without a backslash nobody can have written U+0000.
        escapes = payload.find(b"\\") >= 0
        if escapes and not wire.flawless(said):
            return self._misfit(route, arrived, "field", "U+0000", *named)
        fact = None
        if route.data is not None and version == VERSION:
            try:
                fact = wire.lenient(said.data, route.data)
            except msgspec.DecodeError as error:
                return self._misfit(route, arrived, "data", str(error), *named)
            # The walk through everything costs three times as much as all else here, so only where it must be.
            if (escapes and not wire.flawless(fact)) or (route.times and not _timely(fact, route.times)):
                return self._misfit(route, arrived, "data", wire.FLAW, *named)
        since = said.time - BEGINNING
        second = since.days * DAY + since.seconds
        days = (second + CHINA_S) // DAY
        return Letter(
            named[0], named[1], route.window or "", route.type, version, fact is not None, said.subject,
            self._days.get(days) or self._day(days), second * 1_000_000 + since.microseconds,
            said.clocksynced, said.bootid,
            float(said.uptime), said.prevhash, payload, fact,
        )  # fmt: skip

    def _number(self, name: str, sequence: str) -> tuple[str, int] | None:
        """Ledger and sequence, if the id is exactly what these make."""
        ledger = name[:8]
        if name != ledger + "-" + sequence.rjust(6, "0") or not sequence.isascii() or not sequence.isdigit():
            return None
        if ledger not in self._ledgers:
            if _number(name) is None:
                return None
            if len(self._ledgers) > 100_000:
                self._ledgers.clear()
            self._ledgers.add(ledger)
        seq = int(sequence)
        return (ledger, seq) if sequence[0] != "0" and seq <= LAST_SEQ else None

    def _unread(self, route: _Route, arrived: Arrived, error: Exception) -> Misfit:
        """Why no envelope could be read, and the id if that much could."""
        reason: Reason = "field" if isinstance(error, msgspec.ValidationError) else "not_json"
        named = None
        if reason == "field":
            try:
                named = _number(msgspec.json.decode(arrived.payload, type=_Named).id)
            except (msgspec.DecodeError, UnicodeDecodeError):
                named = None
        return self._misfit(route, arrived, reason, str(error), *(named or (None, None)))

    # ---- sightings

    def _sighting(self, route: _Route, arrived: Arrived) -> Sighting | Misfit:
        value = None
        if arrived.payload:
            try:
                value = wire.read(arrived.payload, READ[route.kind])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                wrong = isinstance(error, msgspec.ValidationError)
                return self._misfit(route, arrived, "field" if wrong else "not_json", str(error))
        kind: Any = route.kind
        return Sighting(route.window or "", kind, value, arrived.payload, arrived.retained)

    # ---- topics and days

    def _learn(self, topic: bytes) -> _Route:
        """What a topic says, remembered only if it is one that a window of this version uses."""
        if len(topic) > wire.MAX_TOPIC:
            return _cut_off(topic)
        route = self._route(topic.decode("utf-8", "replace").replace("\0", "\ufffd"))
        if route.window is not None and (route.kind != "fact" or route.data is not None):
            if len(self._routes) >= ROUTES:
                self._routes.clear()  # somebody invents windows; the true ones are learnt again at once
            self._routes[topic] = route
        return route

    def _route(self, topic: str) -> _Route:
        if topic == wire.county_topic(self._county, "county", "presence"):
            return _Route(topic, None, "ours")
        window, _, rest = topic.removeprefix(self._under).partition("/")
        kind, _, name = rest.partition("/")
        if not topic.startswith(self._under) or not (
            (kind == "fact" and TYPE.fullmatch(name)) or (rest in ("presence", "status", "health"))
        ):
            return _Route(topic, None, "")
        found = WINDOW.fullmatch(window)
        if not found or not window.startswith(self._county + "-"):
            return _Route(topic, None, kind)
        if kind != "fact":
            return _Route(topic, window, kind)
        return _Route(
            topic=topic,
            window=window,
            kind=kind,
            type=name,
            full=f"window.{name}.v{VERSION}",
            source=f"/windows/{self._county}/{window}",
            data=DATA.get(name),
            times=TIMES.get(name, ()),
        )

    def _day(self, days: int) -> str:
        if len(self._days) > 1000:
            self._days.clear()
        day = self._days[days] = date.fromordinal(days + 719_163).isoformat()
        return day

    def _misfit(
        self,
        route: _Route,
        arrived: Arrived,
        reason: Reason,
        detail: str = "",
        ledger: str | None = None,
        seq: int | None = None,
    ) -> Misfit:
        clean = detail.replace("\0", "\ufffd")[:LONGEST]
        return Misfit(reason, route.topic[:LONGEST], route.window, arrived.payload, arrived.size, clean, ledger, seq)


def _timely(fact: Fact, names: tuple[str, ...]) -> bool:
    for name in names:  # noqa: SIM110  a generator costs as much again as the look itself
        if not wire.in_our_years(getattr(fact, name)):
            return False
    return True


def _cut_off(topic: bytes) -> _Route:
    return _Route(topic[:OF_A_LONG_TOPIC].decode("utf-8", "replace").replace("\0", "\ufffd"), None, "")


def reread(type_: str, payload: bytes) -> Fact | None:
    """What a fact of a type that we know says, from its payload in the book; None where it breaks a bound of today."""
    try:
        return wire.lenient(msgspec.json.decode(payload, type=wire.Envelope).data, DATA[type_])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def seen_again(kind: str, payload: bytes) -> wire.Presence | wire.Status | wire.Health | None:
    """What a window's last word said, from its payload in the book; None where it breaks a bound of today."""
    try:
        known: wire.Presence | wire.Status | wire.Health = wire.read(payload, READ[kind])
    except (ValueError, msgspec.DecodeError):
        return None
    return known


def _number(name: str) -> tuple[str, int] | None:
    """`3f9c1a7e-000017` as its ledger and sequence; None if it is not written exactly so."""
    found = ID.fullmatch(name)
    if not found:
        return None
    ledger, digits = found.groups()
    seq = int(digits)
    return (ledger, seq) if 0 < seq <= LAST_SEQ and (len(digits) == 6 or digits[0] != "0") else None


def _version(type_: str, short: str) -> int:
    """The version of `window.rating.given.v2`; 0 if the type is not the one of the topic."""
    found = re.fullmatch(rf"window\.{re.escape(short)}\.v([1-9][0-9]{{0,3}})", type_)
    return int(found[1]) if found else 0


def _flaw(said: wire.Envelope, route: _Route, version: int) -> Reason | None:
    """What is wrong with an envelope whose every field is there."""
    if said.source != route.source:
        return "wrong_window"
    if not version:
        return "wrong_type"
    if not wire.FIRST_YEAR <= said.time.year <= wire.LAST_YEAR:
        return "time"
    return None if HASH(said.prevhash) and UPTIME(said.uptime) else "field"


def day_of(at_us: int) -> str:
    """The day by China's calendar, `2026-11-22`, of a time in microseconds since 1970."""
    return date.fromordinal(int((at_us // 1_000_000 + CHINA_S) // DAY) + 719_163).isoformat()
