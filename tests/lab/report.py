"""Writes the result with its date and versions as text that can stand in tests/README.md."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.lab import table
from tests.lab.bench import Lab
from tests.lab.progress import tell
from tests.lab.table import Result


def write(lab: Lab, results: Sequence[Result]) -> None:
    """Leave `result.md` in the folder of the run."""
    file = lab.place / "result.md"
    file.write_text("\n".join([_versions(lab), "", *table.markdown(results)]) + "\n")
    tell(f"this result as text: {file}")


def _versions(lab: Lab) -> str:
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, guest: {lab.versions}; "
        f"host: Python {platform.python_version()}, QEMU {qemu.split()[3]} (TCG)."
    )
