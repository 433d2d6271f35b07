"""What a fresh machine is given: dependencies with their reasons, locks with hashes, set-up that says what it lacks."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import appliance

HOUSE = Path(__file__).parents[1]
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
LOCKS: dict[str, list[str]] = {
    "window": [],
    "county": ["county"],
    "demo": ["demo"],
    "test": ["test", "dev"],
    "bench": ["bench", "dev"],
}


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Each package of a lock: what it says of the package, and its hashes."""
    text = (HOUSE / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if entry and not entry.lstrip().startswith("#"):
            what, *hashes = re.split(r"\s+--hash=", entry.strip())
            requirement = Requirement(what)
            found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


def ours() -> Iterator[Path]:
    """Every file of the project: what lies in the tree without what .gitignore names."""
    ignored = [line.rstrip("/") for line in (HOUSE / ".gitignore").read_text(encoding="ascii").splitlines()] + [".git"]
    for folder, folders, files in os.walk(HOUSE):
        folders[:] = [name for name in folders if not any(fnmatch(name, each) for each in ignored)]
        yield from (Path(folder) / name for name in files if not any(fnmatch(name, each) for each in ignored))


def wanted(extras: list[str]) -> list[Requirement]:
    """What pyproject.toml asks for with these extras, ours among ours followed."""
    asked = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
    waiting = list(extras)
    while waiting:
        for each in map(Requirement, EXTRAS[waiting.pop()]):
            if each.name == "appliance":
                waiting.extend(each.extras)
            else:
                asked.append(each)
    return asked


# ---- dependencies -------------------------------------------------------------------------------------------------


def test_every_dependency_has_one_line_of_why() -> None:
    lines = (HOUSE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    everything = PROJECT["project"]["dependencies"] + [each for extra in EXTRAS.values() for each in extra]
    assert len(everything) > 20
    for each in everything:
        (line,) = [line for line in lines if line.strip().startswith(f'"{each}"')]
        assert re.search(r'",\s+# \S.{9,}$', line), f"why is {each} needed?"


def test_the_program_and_its_package_say_the_same_version() -> None:
    assert PROJECT["project"]["version"] == appliance.__version__


def test_a_window_is_not_made_to_carry_the_county_or_the_tests() -> None:
    assert (
        not {"sqlalchemy", "psycopg", "iotcore", "pylopdf-fonts-zh-cn", "pytest", "playwright"}
        & locked("window").keys()
    )
    assert not {"pytest", "playwright", "mypy"} & locked("demo").keys()


@pytest.mark.parametrize("name", LOCKS)
def test_a_pi_s_own_libraries_are_never_taken_from_an_index(name: str) -> None:
    """An unpinned pip takes an empty lgpio 0.0.0.2 where lgpio has no wheel; on a Pi both are the system's."""
    assert not {"lgpio", "rpi-lgpio", "picamera2", "rpi-gpio"} & locked(name).keys()


# ---- locks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_one_version_with_hashes(name: str) -> None:
    for package, (requirement, hashes) in locked(name).items():
        assert [each.operator for each in requirement.specifier] == ["=="], package
        assert hashes, package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), package


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_the_project_asks_for(name: str) -> None:
    """A dependency added to pyproject.toml without `make lock` would fail on a fresh machine only."""
    has = locked(name)
    for each in wanted(LOCKS[name]):
        requirement, _ = has[canonicalize_name(each.name)]
        (pin,) = requirement.specifier
        assert each.specifier.contains(pin.version), each


def test_the_locks_agree() -> None:
    pins: dict[str, set[str]] = {}
    for name in LOCKS:
        for package, (requirement, _) in locked(name).items():
            pins.setdefault(package, set()).add(str(requirement.specifier))
    assert {package: found for package, found in pins.items() if len(found) > 1} == {}


def test_the_tests_run_on_what_is_locked() -> None:
    here = {
        package: (str(requirement.specifier), f"=={version(package)}")
        for package, (requirement, _) in locked("test").items()
        if requirement.marker is None or requirement.marker.evaluate()
    }
    assert {package: both for package, both in here.items() if both[0] != both[1]} == {}


def test_no_file_names_an_index() -> None:
    """Where packages come from is the machine's business: a county without the Internet has its own."""
    # In pieces, or this file would be found.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "pi" + "wheels.org", "npm" + "js.org", "npm" + "js.com"]
    options = ["--extra-" + "index-url", "--" + "index-url", "--find-" + "links"]
    banned = re.compile("|".join(map(re.escape, [*hosts, *options])).encode())
    files = list(ours())
    assert len(files) > 50
    guilty = [str(file.relative_to(HOUSE)) for file in files if banned.search(file.read_bytes())]
    assert guilty == []


# ---- set-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["venv", "packages", "lock", "run", "asroot"])
def test_the_set_up_is_written_for_any_shell(script: str) -> None:
    subprocess.run(["sh", "-n", HOUSE / ".ci" / script], check=True)
    assert script == "asroot" or os.access(HOUSE / ".ci" / script, os.X_OK)


class Poor:
    """A copy of the house on a machine that has next to nothing: only the commands put into `bin`."""

    def __init__(self, place: Path) -> None:
        self.house = place / "house"
        self.bin = place / "bin"
        self.bin.mkdir()
        shutil.copytree(HOUSE / ".ci", self.house / ".ci")
        shutil.copytree(HOUSE / "requirements", self.house / "requirements")
        shutil.copy(HOUSE / "pyproject.toml", self.house)
        for each in ("sh", "dirname", "cat", "sha256sum", "id", "rm"):
            found = shutil.which(each)
            assert found, each
            (self.bin / each).symlink_to(found)

    def give(self, name: str, script: str) -> None:
        """Put a command of this text into `bin`."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)

    def run(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(
            command, cwd=self.house, env={"PATH": str(self.bin)}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def poor(tmp_path: Path) -> Poor:
    return Poor(tmp_path)


def test_a_python_that_is_too_old_is_one_sentence(poor: Poor) -> None:
    poor.give("python3", 'case "$2" in *"< (3, 11)"*) exit 1 ;; *) echo 3.9 ;; esac')
    assert poor.run(".ci/venv", "demo") == (
        1,
        "需要 Python 3.11 或更新版本，这台机器上是 3.9；请使用 Debian 12 或更新的系统。\n",
    )


@pytest.mark.parametrize("python", [None, 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac'])
def test_a_system_without_venv_and_without_the_right_to_install_it_is_one_sentence(
    poor: Poor, python: str | None
) -> None:
    if python is not None:
        poor.give("python3", python)
    assert poor.run(".ci/venv", "demo") == (
        1,
        "缺少 Debian 软件包 python3-venv，而当前用户无权安装；请管理员执行：sudo apt-get install python3-venv\n",
    )


def test_missing_debian_packages_are_named_when_they_may_not_be_installed(poor: Poor) -> None:
    poor.give("dpkg-query", 'case "$*" in *mosquitto*|*chromium*) exit 1 ;; *) printf installed ;; esac')
    status, said = poor.run(".ci/packages")
    assert status == 1
    assert said.splitlines() == [
        "tests need these Debian packages, and this user may not install them: mosquitto chromium",
        "have an administrator run: apt-get install mosquitto chromium",
    ]


def test_nothing_is_done_where_every_debian_package_is_there(poor: Poor) -> None:
    poor.give("dpkg-query", "printf installed")
    assert poor.run(".ci/packages") == (0, "")


def test_a_second_set_up_costs_nothing_until_the_lock_changes(poor: Poor) -> None:
    """The stamp is what was put in, not when: a clone gives every file a new time."""
    venv = poor.house / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/bin/true")
    same = "{ cat requirements/demo.txt pyproject.toml; pwd; } | sha256sum >.venv/.demo"
    assert poor.run("sh", "-c", same) == (0, "")
    assert poor.run(".ci/venv", "demo") == (0, "")
    with (poor.house / "requirements" / "demo.txt").open("a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    _, said = poor.run(".ci/venv", "demo")
    assert "正在按 requirements/demo.txt 准备 .venv" in said
