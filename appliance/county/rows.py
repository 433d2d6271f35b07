"""Reads rows of the book one by one: one that cannot be read is passed over, counted and told of, and no other notices.

SQLite keeps whatever it is given in whatever column, a disk may give back something else than it was given, and an
older version kept what this one would not take. So nothing that comes out of the book is believed before it was held to
a struct that says what it must be.
"""

import logging
import threading
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy import Column, ColumnElement, Connection, Select, type_coerce
from sqlalchemy.types import NullType

from appliance import wire

log = logging.getLogger("appliance.county")

Window = Annotated[str, Meta(pattern=rf"^{wire.WINDOW}(?![\s\S])")]
Anybody = Annotated[str, Meta(pattern=rf"^({wire.WINDOW})?(?![\s\S])")]
"""A window, or "" for what none of ours said."""
REMEMBERED: Final = 1000
"""Odd rows told apart; beyond that their number is not known any more, only that there are so many."""

S = TypeVar("S", bound=msgspec.Struct)


class Odd:
    """The rows of one book that could not be read, since it was opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, row: Any, error: Exception) -> None:
        """Tell of a row once, however often it is met."""
        said = f"{row!r:.200}"
        with self._lock:
            new = hash(said) not in self._seen and len(self._seen) < REMEMBERED
            if new:
                self._seen.add(hash(said))
        if new:
            log.warning("a row of the book cannot be read: %s: %s", error, said)


def read(tx: Connection, wanted: Select[Any], kind: type[S]) -> list[S]:
    """The rows of a query, by the names of its columns, as far as they are what `kind` says."""
    result = tx.execute(wanted)
    names = [str(name) for name in result.keys()]  # noqa: SIM118  a result is no dictionary
    found = []
    for row in result:
        try:
            found.append(msgspec.convert(dict(zip(names, row, strict=True)), kind, builtin_types=(bytes,)))
        except Exception as error:  # noqa: BLE001  whatever is in it, it is only this row
            odd(tx).note(tuple(row), error)
    return found


def odd(tx: Connection) -> Odd:
    """Where the odd rows of a book are counted."""
    counted: Odd = tx.get_execution_options()["odd"]
    return counted


def raw(column: Column[bytes]) -> ColumnElement[Any]:
    """A column of bytes as the driver gives it: SQLAlchemy raises for a text in it, and ends the whole query."""
    return type_coerce(column, NullType()).label(column.name)


def number(value: object, otherwise: int) -> int:
    """A whole number out of a row, or what stands for one that is none."""
    return value if isinstance(value, int) else otherwise


def payload(value: object) -> bytes:
    """A payload out of a row; what is none is one that says nothing that anybody said."""
    return value if isinstance(value, bytes) else repr(value).encode()
