"""`make install` where the archive lacks something, cannot be reached, or was never asked: real apt and real dpkg."""

import socket
from pathlib import Path

import pytest

from tests.ground_archive import Archive, Machine

INSTALL = Path(__file__).parent.parent / "firmware_config/install"
WINDOW = ("systemd", "python3-venv", "python3-lgpio", "fonts-noto-cjk", "fonts-hanazono")
SCREENS = ("sway", "seatd", "chromium")
COUNTY = ("systemd", "python3-venv", "mosquitto", "openssl")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def machine(tmp_path: Path, archive: Archive) -> Machine:
    return Machine(tmp_path / "machine", archive)


def nowhere() -> str:
    """An address where nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_a_fresh_machine_that_has_no_lists_gets_everything(archive: Archive, machine: Machine) -> None:
    archive.offers(*WINDOW)
    done = machine.run(INSTALL, "window", "packages")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.installed() == set(WINDOW)
    assert done.stdout.count("正在更新软件源清单") == 1
    assert "缺少" not in done.stdout
    again = machine.run(INSTALL, "window", "packages")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_machine_whose_lists_are_good_is_not_kept_waiting_for_new_ones(archive: Archive, machine: Machine) -> None:
    archive.offers(*WINDOW)
    assert machine.run("apt-get", "-qq", "update").returncode == 0
    assert "更新软件源清单" not in machine.run(INSTALL, "window", "packages").stdout
    assert machine.installed() == set(WINDOW)


@pytest.mark.parametrize("lacking", [*WINDOW[2:], *SCREENS])
def test_what_the_archive_lacks_is_said_and_the_rest_is_installed(
    archive: Archive, machine: Machine, lacking: str
) -> None:
    """Plain Debian 13 has no python3-lgpio."""
    others = {*WINDOW, *SCREENS} - {lacking}
    archive.offers(*others)
    done = machine.run(INSTALL, "window", "packages", KIOSK="1")
    assert done.returncode == 0, done.stderr
    assert machine.installed() == others
    (line,) = [line for line in done.stdout.splitlines() if lacking in line and "：" in line and "缺了它" in line]
    assert "软件源里没有这个包" in line
    assert line.endswith("。")
    assert ("pip install --no-binary lgpio lgpio==" in done.stdout) == (lacking == "python3-lgpio")


def test_what_cannot_be_installed_is_told_apart_from_what_is_not_there(archive: Archive, machine: Machine) -> None:
    archive.offers(*WINDOW, broken="python3-lgpio")
    done = machine.run(INSTALL, "window", "packages")
    assert done.returncode == 0
    assert "python3-lgpio：没有装上，原因见上。" in done.stdout
    # apt's own words, which name what is in the way.
    assert "missing (>= 9)" in done.stderr
    assert machine.installed() == set(WINDOW) - {"python3-lgpio"}


def test_without_the_archive_a_machine_that_has_what_it_must_goes_on(archive: Archive, machine: Machine) -> None:
    """A second `make install` where there is no network: nothing is known of the archive, and that is what is said."""
    archive.offers("systemd", "python3-venv")
    assert machine.run(INSTALL, "window", "packages").returncode == 0
    machine.knows(nowhere())
    done = machine.run(INSTALL, "window", "packages")
    assert done.returncode == 0
    assert done.stdout.count("软件源连不上，没有装上") == 3
    assert "没有这个包" not in done.stdout


@pytest.mark.parametrize("part", ["window", "county"])
def test_what_nothing_works_without_ends_it_with_a_sentence(archive: Archive, machine: Machine, part: str) -> None:
    archive.offers(*({*WINDOW, *COUNTY} - {"python3-venv"}))
    done = machine.run(INSTALL, part, "packages")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "缺少软件包 python3-venv（程序自己的 Python 环境）：软件源里没有这个包。"
        "没有它不能安装，请检查软件源和网络后重试。"
    )
    machine.knows(nowhere())
    (machine.place / "var/lib/apt/lists").rename(machine.place / "gone")
    (machine.place / "var/lib/apt/lists/partial").mkdir(parents=True)
    assert "软件源连不上" in machine.run(INSTALL, part, "packages").stderr.splitlines()[-1]


@pytest.mark.parametrize("lacking", COUNTY)
def test_a_county_needs_all_of_its_packages(archive: Archive, machine: Machine, lacking: str) -> None:
    archive.offers(*({*COUNTY} - {lacking}))
    done = machine.run(INSTALL, "county", "packages")
    assert done.returncode == 1
    assert lacking in done.stderr.splitlines()[-1]


def test_a_list_of_yesterday_names_a_file_that_is_gone(archive: Archive, machine: Machine) -> None:
    """A mirror keeps only the newest version; a machine that was off for months asks for an old one."""
    archive.offers(*WINDOW)
    assert machine.run("apt-get", "-qq", "update").returncode == 0
    (archive.place / "python3-venv_1_all.deb").rename(archive.place / "python3-venv_2_all.deb")
    packages = archive.place / "Packages"
    packages.write_text(packages.read_text(encoding="utf-8").replace("venv_1_all", "venv_2_all"), encoding="utf-8")
    done = machine.run(INSTALL, "window", "packages")
    assert done.returncode == 0, done.stderr
    assert machine.installed() == set(WINDOW)
