"""What a ledger knows beside its facts: whose it is, what it has counted, which sequences have no fact.

A card may give back anything where these stand, so each value is held to its bounds wherever it is read. One that is
not within them is `Garbled`, an error of the file as SQLite's own "malformed" is: whoever reads it does the same.
"""

import re
import sqlite3

import msgspec

from appliance import wire

LAST_SEQ = 1 << 30
"""No ledger gives so many: a fact takes more than 256 bytes, and no card holds 256 GiB of them."""
LAST_SESSION = 1 << 52
LEDGER, WINDOW = re.compile("[0-9a-f]{8}"), re.compile(wire.WINDOW)


class Garbled(sqlite3.DatabaseError):
    """The file can be read, but what stands there is nothing that this program has written."""


class Meta(msgspec.Struct, frozen=True):
    """Which ledger it is, the newest connection, how many numbers it may have lost, and whose it is.

    `window` is empty in a file of version 1.
    """

    ledger: str
    session: int
    lost: int
    window: str


def read_meta(connection: sqlite3.Connection) -> Meta:
    """What `meta` says, holes apart. Raises Garbled."""
    names = "('ledger', 'session', 'lost', 'window')"
    rows = dict(connection.execute(f"SELECT name, value FROM meta WHERE name IN {names}").fetchall())
    return Meta(
        ledger=_text("ledger", rows.get("ledger"), LEDGER),
        session=_number("session", rows.get("session"), LAST_SESSION),
        lost=_number("lost", rows.get("lost", 0), LAST_SEQ),
        window=_text("window", rows["window"], WINDOW) if "window" in rows else "",
    )


def last_given(connection: sqlite3.Connection) -> int:
    """The newest sequence that can have been given, whatever is left of its fact. Raises Garbled."""
    queries = {
        "the oldest unsent": "SELECT min(seq) FROM outbox",
        "the newest unsent": "SELECT max(seq) FROM outbox",
        "the oldest fact": "SELECT min(seq) FROM facts",
        "the newest fact": "SELECT max(seq) FROM facts",
        "the newest sequence": "SELECT max(seq) FROM sqlite_sequence WHERE name = 'facts'",
    }
    found = {what: connection.execute(query).fetchone()[0] for what, query in queries.items()}
    numbers = {what: _number(what, seq, LAST_SEQ) for what, seq in found.items() if seq is not None}
    last = max([*numbers.values(), *(high for _, high in holes(connection))], default=0)
    if (unsent := numbers.get("the newest unsent", 0)) > max(
        numbers.get("the newest sequence", 0), numbers.get("the newest fact", 0)
    ):
        raise Garbled(f"unsent is {unsent}, of which there is no fact")
    return last


def holes(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """The ranges of sequences that are known to have no fact: lost with the log, or missing on the card."""
    rows = connection.execute("SELECT name, value FROM meta WHERE name > 'hole ' AND name < 'hole!'")
    return sorted(_hole(name, high) for name, high in rows)


def add_hole(connection: sqlite3.Connection, low: int, high: int) -> None:
    """Note that these sequences have no fact, so that nobody looks for them again."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"hole {low}", high))


def _hole(name: object, high: object) -> tuple[int, int]:
    number = re.fullmatch("hole ([1-9][0-9]{0,9})", name) if isinstance(name, str) else None
    if number is None:
        raise Garbled(f"meta: {name!r}")
    low = int(number[1])
    if not low <= (end := _number(f"the end of {name}", high, LAST_SEQ)):
        raise Garbled(f"meta: {name} ends at {end}")
    return low, end


def _text(what: str, value: object, form: re.Pattern[str]) -> str:
    if isinstance(value, str) and form.fullmatch(value):
        return value
    raise Garbled(f"{what} is {str(value)[:40]!r}")


def _number(what: str, value: object, most: int) -> int:
    if isinstance(value, int) and 0 <= value <= most:
        return value
    raise Garbled(f"{what} is {str(value)[:40]!r}")
