"""Which characters a printer has, how wide each is, and how data is made fit to be printed at all."""

import unicodedata
from collections.abc import Callable

from appliance.paper.sheet import MISSING, Mark

Drawable = Callable[[str], bool]
"""Whether some font has a glyph for a character that the printer lacks."""

_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63"
_SPACES = "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
_MIDDLE_DOTS = "\u2022\u2027\u2219\u22c5\u30fb\uff65"
_BREAKS = "\r\n\u2028\u2029\v\f\x85"

_REPLACED: dict[int, str] = {
    **{ord(sign): "-" for sign in _HYPHENS},
    **{ord(sign): " " for sign in _SPACES},
    # A name of a minority (阿依古丽·买买提) is typed with any of these; printers have only U+00B7.
    **{ord(sign): "·" for sign in _MIDDLE_DOTS},
    **{ord(sign): "\n" for sign in _BREAKS},
    ord("¥"): "￥",
}


def normalise(text: str) -> str:
    """Text as it may go to paper: one form for each sign, a line feed for each break, no invisible character.

    An ESC in somebody's name must never reach a printer, nor a variation selector cost a cell.
    """
    text = text.replace("\r\n", "\n").translate(_REPLACED)
    return unicodedata.normalize("NFC", "".join(char for char in text if char == "\n" or not _invisible(char)))


def _invisible(char: str) -> bool:
    variant = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return variant or unicodedata.category(char) in {"Cc", "Cf", "Cs"}


def printable(char: str) -> bool:
    """Whether the printer itself has this character: ASCII or two bytes of GBK, never the four of GB18030."""
    return char.isascii() or len(char.encode("gbk", "ignore")) == 2


def mark(char: str, drawable: Drawable) -> Mark:
    """A normalised character as it stands in a line: printed, drawn, or 〓 when nobody has it."""
    if printable(char):
        return Mark(char, 1 if char.isascii() else 2)
    return Mark(char, 2, drawn=True) if drawable(char) else Mark(MISSING, 2)


def absent(text: str, drawable: Drawable) -> tuple[str, ...]:
    """The characters of normalised text that can be neither printed nor drawn, each once, in order."""
    found = (char for char in text if char != "\n" and not printable(char) and not drawable(char))
    return tuple(dict.fromkeys(found))
