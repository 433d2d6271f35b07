"""What differs between SQLite and PostgreSQL: how a book is opened, and how many facts are added at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from appliance.county.reading import LONGEST
from appliance.county.rows import Odd

BUSY_MS: Final = 2000
"""How long a locked SQLite file is waited for before it counts as a failure, which is tried again."""
PATIENCE_S: Final = 5
"""How long PostgreSQL may take to answer a connection, and to end a statement."""

Add = Callable[[Connection, Sequence[tuple[Any, ...]]], int]
"""Adds rows, passes over those whose key is there, and says how many it added."""
Insert = Any
"""SQLAlchemy's insert of one dialect; only these know ON CONFLICT, and their types have no common parent."""

_OF_A_ROW: Final = (DataError, IntegrityError, NotSupportedError)


class Unusable(Exception):
    """The book cannot be opened: `code` is url or unreachable, `detail` the database's own words."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


def connect(url: str) -> Engine:
    """An engine for the book; nothing is opened yet. Raises Unusable."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise Unusable("url", str(error)) from None
    raise Unusable("url", parsed.get_backend_name())


def insert(engine: Engine) -> Insert:
    """The dialect's own insert."""
    return postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Says in one exception why the book could not be opened, without a password."""
    try:
        yield
    except DBAPIError as error:
        raise Unusable("unreachable", f"{engine.url!r}: {error.orig}") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes, all or nothing."""
    with engine.begin() as tx:
        if engine.dialect.name == "sqlite":
            # Else one that reads before it writes is refused at once when somebody else has written meanwhile.
            tx.exec_driver_sql("BEGIN IMMEDIATE")
        yield tx


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One look at the whole book, which may take its time."""
    with engine.connect() as tx:
        if engine.dialect.name == "postgresql":
            tx.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield tx


def is_away(error: Exception) -> bool:
    """Whether it is the database that takes nothing now, and not one row that it will never take."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout)
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error, ProgrammingError):
        return bool(state)  # a table or a right is missing; without a state the driver itself refuses a value
    # 54: a limit of the program, such as an index entry that is too large, which psycopg calls operational.
    return not isinstance(error, _OF_A_ROW) and state[:2] != "54"


def words(error: Exception) -> str:
    """What went wrong, as it may stand in a table: short and without U+0000."""
    said = str(error.orig) if isinstance(error, StatementError) and error.orig else f"{type(error).__name__}: {error}"
    return said.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:LONGEST]


def adder(engine: Engine, table: Table) -> Add:
    """The quickest way to add many rows given as tuples in the order of the table's columns.

    The drivers' own batch calls: SQLAlchemy's would turn every row into a dictionary and back, which costs more than
    SQLite takes to keep it.
    """
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if engine.dialect.name == "postgresql":
        types = [str(column.type.compile(engine.dialect)) for column in table.columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        many = f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING'

        def add(tx: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
            return tx.exec_driver_sql(many, tuple(map(list, zip(*rows, strict=True)))).rowcount

        return add
    marks = ", ".join("?" * len(table.columns))
    one = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING'
    return lambda tx, rows: tx.exec_driver_sql(one, list(rows)).rowcount


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000}, execution_options={"odd": Odd()})

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _record: object) -> None:
        # FULL: what was acknowledged must be there after a power cut, not only after a crash of ours.
        # A larger cache and fewer checkpoints let a backlog through half as fast again.
        # A text that is no UTF-8 would end a whole query.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-16000", "wal_autocheckpoint=8000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgresql(url: URL) -> Engine:
    options = f"-c statement_timeout={PATIENCE_S * 1000} -c lock_timeout={PATIENCE_S * 1000}"
    terms = {"connect_timeout": PATIENCE_S, "options": options, "client_encoding": "utf8"}
    return create_engine(url, pool_pre_ping=True, connect_args=terms, execution_options={"odd": Odd()})
