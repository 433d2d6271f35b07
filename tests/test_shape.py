"""The shape of the house: imports point one way, as the plan says; files and functions stay small."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "appliance"

MAY_KNOW: dict[str, set[str]] = {
    "wire": set(),
    "connection": set(),
    "server": {"connection"},
    "pages": {"server", "connection"},
    "guard": set(),
    "loops": {"guard"},
    "screen": set(),
    "notify": set(),
    "terminal": set(),
    "service_user": set(),
    "broker": set(),
    "documents": set(),
    "settings": set(),
    "paper": {"guard"},
    "window": {"wire"},
    "clock": {"window"},
    "devices": {"window", "paper", "guard"},
    "ledger_chain": {"window", "wire"},
    "ledger_meta": {"wire"},
    "ledger_file": {"window", "wire", "ledger_chain", "ledger_meta"},
    "ledger_wal": {"window", "ledger_file", "ledger_meta"},
    "ledger_check": {"ledger_chain", "ledger_file", "ledger_meta"},
    "ledger_rescue": {"wire", "ledger_chain", "ledger_file", "ledger_meta", "ledger_check"},
    "ledger_papers": {"window", "wire", "ledger_file"},
    "ledger": {
        "window",
        "wire",
        "ledger_chain",
        "ledger_file",
        "ledger_meta",
        "ledger_wal",
        "ledger_check",
        "ledger_rescue",
        "ledger_papers",
    },
    "counter": {"window", "ledger", "ledger_check", "clock"},
    "device_loops": {"window", "counter", "devices"},
    "hourglass": {"window", "counter"},
    "courier": {"window", "wire", "ledger", "counter", "guard"},
    "panel": {"window", "counter", "ledger", "pages"},
    "standing": {"window", "wire", "counter", "courier", "devices"},
    "receipts": {"window", "paper", "devices", "guard", "counter", "ledger"},
    "fittings": {"window", "paper", "devices", "guard", "courier", "settings", "documents"},
    "wiring": {"settings"},
    # Of the county only run.py puts things together, and that from its settings.
    "county": {"window", "wire", "pages", "server", "loops", "notify", "settings", "guard"},
    # The published examples are what a real window made.
    "story": {"window", "wire", "clock", "counter", "ledger", "standing", "devices", "documents"},
    "asyncapi": {"window", "wire", "story", "asyncapi_text"},
    "asyncapi_text": {"wire"},
    "demo": {"broker", "settings"},
}
"""Which parts of ours a part may import. Whatever is not named here puts things together, and nobody imports it."""

BUILDERS = {"__main__", "run", "doctor", "standby"}


def part_of(module: str) -> str:
    return module.split(".")[1] if module.startswith("appliance.") else ""


def parts() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in HOUSE.rglob("*.py"):
        inside = path.relative_to(HOUSE)
        found.setdefault(inside.parts[0].removesuffix(".py"), []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """Every part of ours that a file imports, also within functions and for type checking."""
    known: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            known |= {part_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it points"
            if node.module == "appliance":
                known |= {alias.name for alias in node.names if (HOUSE / alias.name).exists()}
                known |= {alias.name for alias in node.names if (HOUSE / f"{alias.name}.py").exists()}
            known.add(part_of(node.module or ""))
    return known - {""}


PARTS = {name: files for name, files in parts().items() if name not in {"__init__", *BUILDERS}}


@pytest.mark.parametrize("part", sorted(PARTS))
def test_imports_point_one_way(part: str) -> None:
    assert part in MAY_KNOW, f"say in MAY_KNOW what {part} may know"
    for path in PARTS[part]:
        strangers = imported(path) - MAY_KNOW[part] - {part}
        assert not strangers, f"{path.relative_to(HOUSE)} imports {sorted(strangers)}"


def test_nobody_imports_what_puts_things_together() -> None:
    for part, files in PARTS.items():
        for path in files:
            assert not imported(path) & BUILDERS, f"{path} of {part}"


@pytest.mark.parametrize("part", ["window", "paper"])
def test_the_pure_core_reads_no_clock_and_no_disk_and_starts_no_thread(part: str) -> None:
    forbidden = {"threading", "time", "socket", "sqlite3", "subprocess", "os", "random", "logging"} - (
        {"logging"} if part == "paper" else set()
    )
    for path in PARTS[part]:
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        assert not names & forbidden, f"{path.relative_to(HOUSE)} imports {sorted(names & forbidden)}"


def functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(n.name, (n.end_lineno or n.lineno) - n.lineno + 1) for n in ast.walk(tree) if isinstance(n, kinds)]


def test_files_and_functions_stay_small() -> None:
    files = [path for paths in parts().values() for path in paths]
    long_files = {str(p.relative_to(HOUSE)): n for p in files if (n := len(p.read_text().splitlines())) > 400}
    assert not long_files
    long_functions = {f"{path.relative_to(HOUSE)} {name}": n for path in files for name, n in functions(path) if n > 50}
    assert not long_functions


def test_hardware_libraries_load_inside_the_device_that_needs_them() -> None:
    hardware = {"gpiozero", "lgpio", "serial", "escpos", "picamera2", "PIL"}
    for path in (path for paths in parts().values() for path in paths):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = {a.name.split(".")[0] for a in node.names} if isinstance(node, ast.Import) else set()
            names |= {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()
            assert not names & hardware, f"{path.relative_to(HOUSE)} imports {names & hardware} at its top"
