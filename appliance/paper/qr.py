"""The squares of a QR code."""

from functools import lru_cache

Modules = tuple[tuple[bool, ...], ...]
"""Rows of squares, True is black, without the white border."""

QUIET = 4
"""White squares that a reader needs on every side."""


@lru_cache(maxsize=8)
def modules(payload: str) -> Modules:
    """The QR code of a text at error correction M (15 % may be lost to a crease)."""
    import segno  # 40 ms, and only a paper needs it

    code = segno.make_qr(payload, error="m", boost_error=False)
    return tuple(tuple(map(bool, row)) for row in code.matrix)


def side(squares: int, wanted: int, dots: int) -> int:
    """Dots of one square's side: as wanted, or less where code and border would be wider than the paper's dots."""
    return max(1, min(wanted, dots // (squares + 2 * QUIET)))
