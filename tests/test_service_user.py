"""`sudo appliance doctor` sees what the service will see: rights are mended as at a start, root looks as its user."""

import re
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.conftest import enterable
from tests.ground_installed import InstalledWindow


@pytest.fixture
def machine(tmp_path: Path) -> InstalledWindow:
    return InstalledWindow(enterable(tmp_path))


def test_root_looks_as_the_service_after_its_rights_were_mended(machine: InstalledWindow) -> None:
    """The key was copied as root's alone: the start mends that, and so does the doctor before it judges."""
    done = machine.doctor()
    assert "以服务的用户 appliance 检查。" in done.stdout.splitlines(), done.stdout + done.stderr
    assert done.returncode == 1
    assert "县级消息服务器：mqtts://127.0.0.1:8883 连不上" in done.stdout
    assert "Traceback" not in done.stderr
    for file in (machine.key, machine.settings):
        found = file.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, 64123)


def test_a_key_that_no_start_mends_is_not_said_to_be_well(machine: InstalledWindow) -> None:
    elsewhere = machine.place / "etc/elsewhere.key"
    machine.key.rename(elsewhere)
    text = machine.settings.read_text(encoding="utf-8")
    machine.write(text.replace("/etc/appliance/tls/window.key", "/etc/elsewhere.key"))
    done = machine.doctor()
    assert done.returncode == 2
    assert "key_file" in done.stderr
    assert "本程序能读的文件" in done.stderr


def test_what_the_doctor_looks_at_does_not_become_root_s(machine: InstalledWindow) -> None:
    """A window that was killed leaves its log: whoever opens the ledger next works it in, and may make files anew."""
    ledger = machine.state / "ledger.db"
    writer = sqlite3.connect(ledger)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE facts (seq)")
    killed = {tail: ledger.with_name(f"ledger.db{tail}").read_bytes() for tail in ("", "-wal", "-shm")}
    writer.close()
    for tail, content in killed.items():
        ledger.with_name(f"ledger.db{tail}").write_bytes(content)
    machine.sudo("chown", "-R", "64123:64123", str(machine.state))
    said = machine.doctor().stdout
    assert "异常  台账" in said
    assert {file.stat().st_uid for file in [machine.state, *machine.state.iterdir()]} == {64123}


def test_anybody_else_is_told_to_use_sudo(machine: InstalledWindow) -> None:
    done = machine.doctor(user="65534")
    assert done.returncode == 2, done.stderr
    assert "sudo appliance doctor" in done.stdout
    assert "设置文件 /etc/appliance/window.toml 读不出来：没有读取它的权限。" in done.stderr


def test_a_device_of_a_group_that_the_service_is_not_in_is_said(machine: InstalledWindow) -> None:
    machine.printer(major=188, mode=0o660, group=64124)
    assert "只给 dialout-of-test 组用，而用户 appliance 不在这个组里" in machine.doctor().stdout
    machine.sudo("chmod", "600", str(machine.place / "printer"))
    assert "属于 root:dialout-of-test，权限是 0600，用户 appliance 不能读写它" in machine.doctor().stdout


def test_a_device_that_the_sandbox_forbids_is_said(machine: InstalledWindow) -> None:
    """Outside the sandbox it could be opened: /dev/full."""
    machine.printer(major=1, mode=0o666)
    said = machine.doctor().stdout
    assert "异常  打印机：不能使用：" in said
    assert "属于 1、mem 类设备，appliance.service 的 DeviceAllow 里没有这一类" in said


def test_settings_that_are_nobody_s_installation_are_looked_at_as_whoever_asks(machine: InstalledWindow) -> None:
    copy = machine.place / "window.toml"
    copy.write_text(machine.settings.read_text(encoding="utf-8"), encoding="utf-8")
    done = machine.doctor("--settings", str(copy))
    assert "以服务的用户" not in done.stdout
    assert stat.S_IMODE(machine.key.stat().st_mode) == 0o600


def test_a_ledger_whose_folder_is_closed_to_who_asks_is_a_finding(machine: InstalledWindow) -> None:
    machine.state.chmod(0o700)
    copy = machine.place / "window.toml"
    text = machine.settings.read_text(encoding="utf-8")
    copy.write_text(re.sub(r"(?m)^(ca|cert|key)_file", r"#\g<0>", text), encoding="utf-8")
    done = machine.doctor("--settings", str(copy), user="65534")
    assert "异常  台账" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
