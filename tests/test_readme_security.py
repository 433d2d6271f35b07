"""The security table of the README: each line says what somebody cannot do, and names a test that is there."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Security\n")[1].split("\n## ")[0]
LINES = [line for line in SECTION.splitlines() if line.startswith("|")][2:]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES]
PEOPLE = (
    "a window with a certificate",
    "a page in the clerk's browser",
    "the station's network",
    "the bureau's network",
    "somebody with the card",
)


def test_each_attacker_has_his_lines() -> None:
    assert tuple(row[0] for row in ROWS if row[0]) == PEOPLE
    assert len(ROWS) <= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_each_line_says_what_cannot_be_done_and_names_the_test_that_shows_it(row: list[str]) -> None:
    _, _, cannot, shown = row
    assert cannot
    named = re.fullmatch(r"`(test_\w+\.py)::(test_\w+)`", shown)
    assert named, shown
    tree = ast.parse((HERE / named[1]).read_text(encoding="utf-8"))
    assert named[2] in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
