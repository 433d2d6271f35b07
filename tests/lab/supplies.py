"""The disks that come with the machine: the lab's own files, and the project with its wheels to be installed."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.lab.places import GUEST, ROOT, kept, key
from tests.lab.progress import do
from tests.lab.recipe import GUEST_PYTHON

LOCKS = ("window", "county")
# Which wheels fit the guest: Debian trixie has glibc 2.41.
PLATFORMS = ("any", "linux_x86_64", "manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 42)))


def hands(place: Path) -> Path:
    """A disk with `lab/`: the agent and what it can do."""
    disk = place / "lab.tar"
    with tarfile.open(disk, "w") as archive:
        for each in sorted(GUEST.iterdir()):
            if each.is_file():
                archive.add(each, f"lab/{each.name}")
    return disk


def project(place: Path) -> tuple[Path, str]:
    """A disk with the project as it lies in this tree, `appliance/`, and its name by what is installed of it."""
    disk = place / "project.tar"
    files = _files()
    with tarfile.open(disk, "w") as archive:
        for each in files:
            archive.add(ROOT / each, f"appliance/{each}", recursive=False)
    # Rights count, times do not; nor do the tests, of which nothing is installed.
    counted = [each for each in files if not each.startswith("tests/")]
    parts = (f"{each} {(ROOT / each).stat().st_mode:o} ".encode() + (ROOT / each).read_bytes() for each in counted)
    return disk, key(*parts)


def _files() -> list[str]:
    """What a person has who cloned the project; without git, all but what this machine made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        names = [each for each in listed.stdout.split("\0") if each]
    else:
        names = [str(each.relative_to(ROOT)) for each in ROOT.rglob("*")]
        hidden = (".git/", ".venv/", ".demo/", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/")
        names = [each for each in names if not each.startswith(hidden) and "__pycache__" not in each]
    return sorted(each for each in set(names) if (ROOT / each).is_file())


def wheels() -> Path:
    """A disk with the wheels of both lock files for the guest's Python, `wheels/`; hashes are checked."""
    locks = [ROOT / "requirements" / f"{each}.txt" for each in LOCKS]
    place = kept("wheels", key(GUEST_PYTHON, *(each.read_bytes() for each in locks)))
    disk = place / "wheels.tar"
    if not disk.exists():
        shutil.rmtree(place, ignore_errors=True)
        (place / "wheels").mkdir(parents=True)
        for lock in locks:
            _download(lock, place)
        with tarfile.open(place / "part", "w") as archive:
            archive.add(place / "wheels", "wheels")
        (place / "part").rename(disk)
    return disk


def _download(lock: Path, place: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
    ]
    kind = ["--only-binary=:all:", "--implementation", "cp", "--python-version", GUEST_PYTHON]
    kind += [word for each in PLATFORMS for word in ("--platform", each)]
    command = [*pip, *kind, "-r", str(lock), "-d", str(place / "wheels")]
    do(f"fetching: wheels of {lock.name} for Python {GUEST_PYTHON}", command, place / "pip.log", env=dict(os.environ))
