"""systemd's own tools find nothing wrong with the units, and hold the sandbox to be tight."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SYSTEMD = ROOT / "systemd"
UNITS = ["appliance.service", "appliance-county.service", "appliance-kiosk.service"]
# 0 is closed, 10 is open. Chromium needs namespaces, a window its devices and to ask whether its clock is set.
EXPOSURE = {"appliance.service": 2.0, "appliance-county.service": 1.5, "appliance-kiosk.service": 7.0}


def settings_of(unit: str) -> dict[str, list[str]]:
    """Every setting of a unit with all its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / unit).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The units as on an installed machine: what they start is there, under a folder of this test."""
    for command in ("opt/appliance/venv/bin/python", "usr/bin/sway"):
        (tmp_path / command).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / command).symlink_to(sys.executable)
    for unit in UNITS:
        text = (SYSTEMD / unit).read_text(encoding="utf-8")
        assert len(re.findall(r"^ExecStart=/", text, flags=re.MULTILINE)) == 1
        (tmp_path / unit).write_text(text.replace("ExecStart=/", f"ExecStart={tmp_path}/"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_to_say_about_a_unit(machine: Path, unit: str) -> None:
    done = analyze("verify", "--man=no", str(machine / unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_would_say_what_is_wrong(machine: Path, unit: str) -> None:
    """So that the test above can fail: a misspelt setting and a program that is not there are both told."""
    broken = machine / unit
    text = broken.read_text(encoding="utf-8")
    broken.write_text(text.replace("[Service]\n", "[Service]\nProtectSytem=strict\n"), encoding="utf-8")
    assert "ProtectSytem" in analyze("verify", "--man=no", str(broken)).stderr
    broken.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/nowhere", text, flags=re.MULTILINE), encoding="utf-8")
    done = analyze("verify", "--man=no", str(broken))
    assert done.returncode != 0
    assert "/nowhere is not executable" in done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_the_sandbox_is_tight(machine: Path, unit: str) -> None:
    done = analyze("security", "--offline=true", str(machine / unit))
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level, done.stderr
    assert float(level.group(1)) <= EXPOSURE[unit], done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_nobody_has_to_start_it_again(unit: str) -> None:
    settings = settings_of(unit)
    assert settings["Restart"] == ["always"]
    # The limit counts restarts, and 0 switches it off; it is a setting of [Unit], where systemd looks for it.
    assert settings["StartLimitIntervalSec"] == ["0"]
    head = (SYSTEMD / unit).read_text(encoding="utf-8").split("[Service]")[0]
    assert "StartLimitIntervalSec=0" in head


@pytest.mark.parametrize("unit", UNITS[:2])
def test_it_is_watched_and_tells_when_it_is_ready(unit: str) -> None:
    settings = settings_of(unit)
    assert settings["Type"] == ["notify"]
    assert settings["NotifyAccess"] == ["main"]
    assert 10 <= int(settings["WatchdogSec"][0]) <= 60
    # Wrong settings are for a person to mend; everything else is for systemd.
    assert settings["RestartPreventExitStatus"] == ["2"]


def test_lgpio_has_a_folder_that_it_may_write() -> None:
    """It opens .lgd-nfy0 in the current folder as it is imported, and dies where that is read-only."""
    settings = settings_of("appliance.service")
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["WorkingDirectory"] == [f"/run/{settings['RuntimeDirectory'][0]}"]


def test_the_window_may_touch_its_devices_and_no_disk() -> None:
    settings = settings_of("appliance.service")
    assert settings["DevicePolicy"] == ["closed"]
    allowed = [value.split()[0] for value in settings["DeviceAllow"]]
    assert set(allowed) >= {"char-gpiochip", "char-ttyUSB", "char-ttyACM", "char-ttyAMA", "char-usb"}
    assert all(device.startswith("char-") for device in allowed)
    assert settings_of("appliance-county.service")["PrivateDevices"] == ["yes"]


# Each name of DeviceAllow=: the module that brings it to /proc/devices (None: built in wherever the device is, on
# Debian and on Raspberry Pi OS), and its number where the kernel fixes one (Documentation/admin-guide/devices.txt).
DRIVERS: dict[str, tuple[str | None, int | None]] = {
    "char-gpiochip": (None, None),
    "char-ttyUSB": ("usbserial", 188),
    "char-ttyACM": ("cdc_acm", 166),
    "char-ttyAMA": (None, 204),
    "char-ttyS": (None, None),
    "char-usb": ("usblp", 180),
    "char-video4linux": ("videodev", 81),
    "char-media": ("mc", None),
    "char-dma_heap": (None, None),
}


def test_a_device_is_allowed_also_when_its_driver_comes_after_the_window() -> None:
    """A name that is not in /proc/devices when the unit starts allows nothing until it is started again."""
    settings = settings_of("appliance.service")
    allowed = [value.split()[0] for value in settings["DeviceAllow"]]
    assert [device for device in allowed if not device[-1].isdigit()] == list(DRIVERS)
    numbers = [f"char-{number}" for _, number in DRIVERS.values() if number is not None]
    assert [device for device in allowed if device[-1].isdigit()] == numbers
    text = (ROOT / "firmware_config/os/modules-load.conf").read_text(encoding="utf-8")
    loaded = [line for line in text.splitlines() if not line.startswith("#")]
    assert loaded == [module for module, _ in DRIVERS.values() if module is not None]
    assert "systemd-modules-load.service" in settings["After"]


def test_the_window_may_ask_whether_its_clock_is_set() -> None:
    """ProtectClock= forbids adjtimex(2) also to who only asks; setting the clock takes a capability that it has not."""
    settings = settings_of("appliance.service")
    assert "ProtectClock" not in settings
    assert settings["SystemCallFilter"][-1].split() == ["adjtimex", "clock_adjtime", "clock_adjtime64"]
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == [""]


@pytest.mark.parametrize("unit", UNITS[:2])
def test_a_start_mends_the_rights_of_what_root_copied(unit: str) -> None:
    name = unit.removesuffix(".service")
    # +: as root and outside the sandbox; -: a start goes on without it.
    assert settings_of(unit)["ExecStartPre"] == [
        f"-+/usr/bin/systemd-tmpfiles --create /etc/tmpfiles.d/{name}.conf",
        f"-+/usr/bin/chown -Rh {name}:{name} /var/lib/{name}",
    ]


def test_systemd_finds_nothing_to_say_about_what_the_county_adds_to_its_broker(tmp_path: Path) -> None:
    (tmp_path / "mosquitto.service").write_bytes(Path("/lib/systemd/system/mosquitto.service").read_bytes())
    added = tmp_path / "mosquitto.service.d/appliance.conf"
    added.parent.mkdir()
    added.write_bytes((ROOT / "firmware_config/county/mosquitto.service.conf").read_bytes())
    done = analyze("verify", "--man=no", str(tmp_path / "mosquitto.service"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_screens_are_the_unit_s_own_and_no_login_session_s() -> None:
    """logind would put sway and the browsers into a scope outside the unit; no stop and no MemoryMax= reaches that."""
    settings = settings_of("appliance-kiosk.service")
    assert "PAMName" not in settings
    assert "KillMode" not in settings
    assert f"XDG_RUNTIME_DIR=%t/{settings['RuntimeDirectory'][0]}" in settings["Environment"]
    assert "LIBSEAT_BACKEND=seatd" in settings["Environment"]
    assert settings["Wants"] == ["seatd.service"]
    # Debian's seatd lets this group in.
    groups = (ROOT / "firmware_config/os/sysusers.conf").read_text(encoding="utf-8")
    assert "\nm appliance-kiosk video\n" in groups


def test_no_proxy_is_between_the_screens_and_the_pages() -> None:
    gone = {name for line in settings_of("appliance-kiosk.service")["UnsetEnvironment"] for name in line.split()}
    assert gone >= {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


def test_the_services_run_as_the_users_that_are_made_for_them() -> None:
    made = {
        line.split()[1]
        for part in ("os", "county")
        for line in (ROOT / f"firmware_config/{part}/sysusers.conf").read_text(encoding="utf-8").splitlines()
        if line.startswith("u ")
    }
    assert {settings_of(unit)["User"][0] for unit in UNITS} == made
    groups = (ROOT / "firmware_config/os/sysusers.conf").read_text(encoding="utf-8")
    for group in settings_of("appliance.service")["SupplementaryGroups"][0].split():
        # A group that is not there keeps a unit from starting at all.
        assert f"\nm appliance {group}\n" in groups


def test_when_memory_runs_out_the_browser_goes_and_not_the_window() -> None:
    window, screens = (int(settings_of(f"appliance{name}.service")["OOMScoreAdjust"][0]) for name in ("", "-kiosk"))
    assert window < 0 < screens
