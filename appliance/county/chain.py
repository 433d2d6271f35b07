"""Checks the chain of a ledger: each fact says the hash of the one before, so one taken out or altered shows.

A link is checked when both of its ends are there, in whatever order they came: against the fact just before in memory,
in the same batch, or in the book. A fact whose neighbour is missing is not a break: the neighbour may still come.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from appliance import wire
from appliance.county.reading import LAST_SEQ, Letter

Place = tuple[str, int]
"""A fact's place in the world: its ledger and sequence."""
Fetch = Callable[[set[Place]], Mapping[Place, bytes]]
"""The payloads that the book has at these places."""


class Break(msgspec.Struct, frozen=True):
    """The fact at `seq` said that the one before hashes to `said`; what is there hashes to `found`."""

    ledger: str
    seq: int
    window: str
    said: str
    found: str


class Tip(msgspec.Struct, frozen=True):
    """The newest fact known of a ledger, and its hash where it was seen."""

    seq: int
    digest: str | None


class _Prev(msgspec.Struct):
    prevhash: str = ""


_read_prev = msgspec.json.Decoder(_Prev)


class Chain:
    """Remembers the newest fact of each ledger, so that facts in their order are checked without asking the book."""

    def __init__(self) -> None:
        self._tips: dict[str, Tip] = {}

    def unmet(self, letters: Iterable[Letter]) -> set[str]:
        """Ledgers of which we do not know how far the book has them."""
        return {letter.ledger for letter in letters} - self._tips.keys()

    def meet(self, newest: Mapping[str, int]) -> None:
        """How far the book has some ledgers."""
        self._tips.update({ledger: Tip(seq, None) for ledger, seq in newest.items()})

    def check(self, letters: Mapping[Place, Letter], fetch: Fetch) -> tuple[list[Break], dict[str, Tip]]:
        """The broken links of a batch and the tips as they are after it, to be handed to `settle` once it is kept."""
        digests = {place: wire.prevhash(letter.payload) for place, letter in letters.items()}
        tips: dict[str, Tip] = {}
        before: dict[Place, Letter] = {}
        after: set[Place] = set()
        broken: list[Break] = []
        for place, letter in letters.items():
            ledger, seq = place
            tip = tips.get(ledger) or self._tips.get(ledger)
            digest = digests.get((ledger, seq - 1)) if seq > 1 else wire.FIRST_PREVHASH
            if digest is None and tip is not None and tip.seq == seq - 1:
                digest = tip.digest
            if digest is None:
                before[ledger, seq - 1] = letter
            elif digest != letter.prevhash:
                broken.append(_break(letter, digest))
            if tip is None or seq > tip.seq:
                tips[ledger] = Tip(seq, digests[place])
            elif seq < LAST_SEQ and (ledger, seq + 1) not in letters:
                after.add((ledger, seq + 1))
        if before or after:
            broken += _with_the_book(letters, digests, before, after, fetch(before.keys() | after))
        return broken, tips

    def settle(self, tips: Mapping[str, Tip]) -> None:
        """Take the tips of a batch that was committed."""
        if len(self._tips) > 50_000:
            self._tips.clear()  # the book knows them; this is only to be quick
        self._tips.update(tips)


def _with_the_book(
    letters: Mapping[Place, Letter],
    digests: Mapping[Place, str],
    before: Mapping[Place, Letter],
    after: set[Place],
    found: Mapping[Place, bytes],
) -> list[Break]:
    """The broken links whose other end is in the book."""
    broken = []
    for place, letter in before.items():
        if place in found and (digest := wire.prevhash(found[place])) != letter.prevhash:
            broken.append(_break(letter, digest))
    for ledger, seq in after & found.keys():
        said, digest = _said(found[ledger, seq]), digests[ledger, seq - 1]
        if said != digest:
            broken.append(Break(ledger, seq, letters[ledger, seq - 1].window, said, digest))
    return broken


def _said(payload: bytes) -> str:
    """What a fact in the book says of the one before it; one that cannot be read any more says nothing true."""
    try:
        return _read_prev.decode(payload).prevhash
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _break(letter: Letter, digest: str) -> Break:
    return Break(letter.ledger, letter.seq, letter.window, letter.prevhash, digest)
