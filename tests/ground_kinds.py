"""What kind a test is, read from its source: whether it is pure and quick, and whether its file stays on one worker.

A test is slow if it is named in `LONG`, or if its own code, a fixture that it asks for, or anything of `tests/` that
these use, mentions one of `SLOW`. Names are followed from file to file, strings too: fixtures are asked for by name.
"""

import ast
from functools import cache
from pathlib import Path

SLOW = (
    *("subprocess", "multiprocessing", "playwright", "appliance.screen.browser", "appliance.demo.children"),
    *("socket", "pty", "appliance.server", "appliance.courier.line"),
    *("tests.ground_adapters", "hypothesis"),
)
"""Processes and browsers; what waits for another end; stand-ins with their loops; hundreds of examples of one test."""
LONG = {
    "test_nothing_in_a_place_of_a_true_message_is_more_than_that_message": "thousands of messages",
    "test_a_ledger_that_another_program_locks_is_a_sentence_and_no_damage": "waits ten seconds for the lock",
    "test_nor_when_it_is_damaged_lacks_facts_or_has_lost_its_log": "fills a ledger",
    "test_every_statement_of_a_start_and_a_day_finds_its_rows_by_an_index": "fills a ledger",
    "test_on_sqlite_every_statement_finds_its_rows_by_an_index": "fills a book",
    "test_a_key_that_nobody_asks_for_writes_few_facts_and_every_press_is_counted": "an hour of presses",
    "test_of_a_key_that_chatters_the_rating_still_counts": "an hour of presses",
}
"""Pure, but not quick; and why."""
TESTS = Path(__file__).parent
CONFTEST = TESTS / "conftest.py"


class _Source:
    """One file of the tests: its imports, and which names each of its own uses."""

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.imported: dict[str, tuple[str, str]] = {}
        self.uses: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.imported.update((each.asname or each.name.split(".")[0], (each.name, "")) for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                self.imported.update((each.asname or each.name, (node.module or "", each.name)) for each in node.names)
        for statement in tree.body:
            for name in _defines(statement):
                self.uses[name] = self.uses.get(name, set()) | _mentions(statement)


def _defines(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _mentions(statement: ast.stmt) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                found.add(name)
            case ast.Constant(value=str(text)) if text.isidentifier():
                found.add(text)
    return found


@cache
def _source(path: Path) -> _Source:
    return _Source(path)


def _file(module: str) -> Path | None:
    """The file of a module of the tests."""
    path = TESTS.parent.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _reached(path: Path, name: str) -> frozenset[tuple[Path, str]]:
    """Every name of the tests that stands behind one, and the modules from elsewhere, those without a file of ours."""
    seen: set[tuple[Path, str]] = set()
    waiting = [(path, name)]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        waiting.extend(_next(*here))
    return frozenset(seen)


def _next(path: Path, name: str) -> list[tuple[Path, str]]:
    source = _source(path)
    if name in source.uses:
        return [(path, used) for used in source.uses[name]]
    if name not in source.imported:
        return [] if path == CONFTEST else [(CONFTEST, name)]
    module, attribute = source.imported[name]
    inner = _file(f"{module}.{attribute}") or _file(module)
    if not module.startswith("tests") or inner is None:
        return []
    return [(inner, attribute)] if attribute in {*_source(inner).uses, *_source(inner).imported} else _all(inner)


def _all(path: Path) -> list[tuple[Path, str]]:
    return [(path, name) for name in _source(path).uses]


def is_unit(path: Path, test: str) -> bool:
    """Whether the test of that name in that file is pure and quick, by what its source mentions."""
    return test not in LONG and not any(_is_slow(file, name) for file, name in _reached(path, test))


def _is_slow(file: Path, name: str) -> bool:
    module, attribute = _source(file).imported.get(name, ("", ""))
    return f"{module}.{attribute}.".startswith(tuple(f"{slow}." for slow in SLOW))


@cache
def shares(path: Path) -> bool:
    """Whether a file builds something once for several of its tests."""
    text = path.read_text(encoding="utf-8")
    return any(f'scope="{scope}"' in text for scope in ("module", "session", "package"))
