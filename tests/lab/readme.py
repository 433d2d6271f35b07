"""Reads the commands out of the README files, so that they are run as they stand there."""

import re
from pathlib import Path

from tests.lab.places import ROOT


def blocks(text: str, heading: str) -> list[str]:
    """The fenced blocks under a heading, up to the next heading of its rank."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"no heading {heading!r}")
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    section = rest[: following.start()] if following else rest
    return re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The lines that a person types, one at a time, comments included."""
    return [line for line in block.splitlines() if line.strip() and not line.startswith("#")]


def section(document: str, heading: str, *, holding: str = "") -> list[str]:
    """The commands of the first block under a heading of one of our documents, or of the first that holds a word."""
    for block in blocks((ROOT / Path(document)).read_text(), heading):
        if holding in block:
            return commands(block)
    raise LookupError(f"{document}: no block under {heading!r} holds {holding!r}")
