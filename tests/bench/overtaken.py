"""F1: what a batch costs in which live facts have overtaken old ones, in a large book beside a small one.

Every fact of such a batch has its neighbours in the book and not in memory, so their links are looked up there. What a
book of any size has to pay is one seek for each.
"""

import statistics
import time
from pathlib import Path

from appliance.county.book import Batch, Book
from appliance.county.inlet import Arrived
from appliance.county.reading import Letter, Reader
from tests.bench.drains import COUNTY
from tests.bench.ground import scratch
from tests.bench.queued import true_facts
from tests.bench.report import Goal, Report

SMALL, LARGE = 10_000, 300_000
PLACES, TIMES = 24, 100


def measure(rounds: int) -> Report:
    """Fill two books but for every 25th fact, then bring those in turn."""
    letters = _letters(LARGE)
    taken: dict[int, list[float]] = {SMALL: [], LARGE: []}
    with scratch() as place:
        books = {count: _filled(place / f"{count}.db", letters[:count]) for count in taken}
        for number in range(rounds):
            for count, book in books.items():
                taken[count].append(_bring(book, letters[:SMALL], number))
        for book in books.values():
            book.close()
    report = Report("F1: overtaken facts", ("facts in the book", f"ms a batch of {PLACES}"))
    for count, seen in taken.items():
        report.rows.append((f"{count:,}", f"{statistics.median(seen):.2f}"))
    ratios = [large / small for small, large in zip(taken[SMALL], taken[LARGE], strict=True)]
    report.goals = [Goal("F1 large ÷ small book", ratios, 1.5)]
    return report


def _letters(count: int) -> list[Letter]:
    reader = Reader(COUNTY)
    read = [reader.read(Arrived(topic.encode(), it, len(it), False)) for topic, it in true_facts(count)]
    return [it for it in read if isinstance(it, Letter)]


def _late(letter: Letter) -> bool:
    return letter.seq % 3 == 2


def _filled(path: Path, letters: list[Letter]) -> Book:
    book, early = Book(f"sqlite:///{path}"), [it for it in letters if not _late(it)]
    for at in range(0, len(early), 500):
        book.keep(Batch(letters=early[at : at + 500]), at + 1)
    return book


def _bring(book: Book, letters: list[Letter], number: int) -> float:
    """Milliseconds a batch; facts that have come before are brought again, which asks for the same."""
    late, seen = [it for it in letters if _late(it)], []
    for n in range(TIMES):
        at = (number * TIMES + n) * PLACES % (len(late) - PLACES)
        began = time.perf_counter()
        book.keep(Batch(letters=late[at : at + PLACES]), 10**15 + number * TIMES + n)
        seen.append((time.perf_counter() - began) * 1e3)
    return statistics.median(seen)
