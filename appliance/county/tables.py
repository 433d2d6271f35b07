"""The county's book as tables: the same on SQLite and PostgreSQL.

Facts are only ever added. `at_us` and `day` alone may be put right later, when a window tells how wrong its clock was;
`time_us` and `payload` stay as they came. Every time is microseconds since 1970, every day China's, `2026-11-22`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, text

SCHEMA = 2
"""Goes up with every change of these tables; `takeover.py` brings an older book here, a newer one is not opened."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`schema`, and `session`: the collector's connections, counted."""

facts = Table(
    "facts",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("window", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("known", Boolean, nullable=False),
    Column("subject", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("synced", Boolean, nullable=False),
    Column("boot", Text, nullable=False),
    Column("up", Float, nullable=False),
    Column("grade", Integer),
    Column("was", Integer),
    Column("payload", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("why", Text),
)
"""`grade` and `was` of a rating, `why` of one that was not given: what a day is counted by."""
unsynced = text("NOT synced")
Index("facts_day", facts.c.day, facts.c.window)
Index("facts_undated", facts.c.ledger, facts.c.boot, facts.c.seq, sqlite_where=unsynced, postgresql_where=unsynced)

boots = Table(
    "boots",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("boot", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("offset_us", BigInteger, nullable=False),
)
"""A boot's first `clock.synced`, and those that were taken for it before: what to add to the times of the facts of that
boot before the lowest `seq`."""

redating = Table(
    "redating",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("boot", Text, primary_key=True),
    Column("done", BigInteger, nullable=False),
)
"""Boots of which the times are being put right, up to which sequence they are."""

devices = Table(
    "devices",
    metadata,
    Column("window", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("ledger", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("ledger_us", BigInteger, nullable=False, server_default="0"),
)
"""Each device as the last `device.failed` or `device.recovered` left it; `ledger_us` as `ledgers.first_us`."""

ledgers = Table(
    "ledgers",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("window", Text, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False, server_default="0"),
    Column("newest", BigInteger, nullable=False, server_default="0"),
    Column("said", BigInteger, nullable=False, server_default="0"),
)
"""Whose each ledger is: of the `window` that brought it first, at `first_us`.

Up to `told` every sequence is either in the book or in `gaps`; `newest` is the last that the book has, as far as it was
looked at, and `said` the last that the window's health names.
"""
Index("ledgers_window", ledgers.c.window)

gaps = Table(
    "gaps",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("window", Text, nullable=False),
    Column("noticed_us", BigInteger, nullable=False),
    Column("asked", BigInteger, nullable=False, server_default="0"),
    Column("asked_us", BigInteger),
    Column("answer", Text, nullable=False, server_default=""),
)
"""Sequences that the book lacks, both ends included. `noticed_us` is when the gap was found or last grew smaller;
`asked` how often it was asked for in vain and `asked_us` when last; `answer` why the window cannot send it."""
Index("gaps_window", gaps.c.window)
unanswered = text("answer = ''")
Index("gaps_unanswered", gaps.c.ledger, gaps.c.first, sqlite_where=unanswered, postgresql_where=unanswered)

breaks = Table(
    "breaks",
    metadata,
    Column("ledger", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("window", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("noticed_us", BigInteger, nullable=False),
)
"""Where a chain does not hold: the fact `seq` `said` one hash of the fact before it, which hashes to `found`."""

sightings = Table(
    "sightings",
    metadata,
    Column("window", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("heard_us", BigInteger, nullable=False),
    Column("session", BigInteger),
)
"""The last presence, status and health of each window; `session` of a presence is that of the last online."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("window", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
)
"""What could not be read, once each; `window` is "" where the topic names none. Beyond the limit of a window, one row
for each reason stands for all, with an empty topic and the window as its digest."""
Index("quarantine_window", quarantine.c.window)

counters = Table(
    "counters",
    metadata,
    Column("window", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers since the beginning, by window: `unknown` facts kept without being understood, `again` facts that came once
more, `misfits` that could not be read, `foreign` facts of a ledger that is another window's, `breaks` of the chain;
`facts` of all windows stand under ""."""
