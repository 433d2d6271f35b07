"""What the system is told (users, rights, kernel, journal, watchdog, boot, screens), as its own tools understand it."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.settings import load_county, load_window

ROOT = Path(__file__).parent.parent
FIRMWARE = ROOT / "firmware_config"
WINDOW = load_window(FIRMWARE / "window.toml")


def lines_of(name: str) -> list[str]:
    """What a file says, without comments and blank lines."""
    lines = (FIRMWARE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """An empty machine with the users that systemd-sysusers makes of our files."""
    (tmp_path / "etc").mkdir()
    files = [str(FIRMWARE / part / "sysusers.conf") for part in ("os", "county")]
    words = ["systemd-sysusers", f"--root={tmp_path}", *files]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # mosquitto's package comes with its own.
    with (tmp_path / "etc/group").open("a") as groups:
        groups.write("mosquitto:x:900:\n")
    return tmp_path


def table_of(file: Path) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":") for line in file.read_text(encoding="utf-8").splitlines()}


def test_the_users_cannot_log_in_and_belong_where_their_devices_do(machine: Path) -> None:
    users, groups = table_of(machine / "etc/passwd"), table_of(machine / "etc/group")
    for user in ("appliance", "appliance-kiosk", "appliance-county"):
        assert users[user][6] == "/usr/sbin/nologin"
    for group in ("gpio", "dialout", "lp", "video"):
        assert "appliance" in groups[group][3].split(",")
    # The screens' user sees no key and no ledger.
    assert not [name for name, row in groups.items() if "appliance-kiosk" in row[3] and name in ("gpio", "appliance")]


SECRETS = {
    # A key may keep the name that it was signed for.
    "os": ["window.toml", "broker.password", "tls/window.key", "tls/430602-0107-1.key"],
    "county": ["county.toml", "county.password", "tls/county.key", "tls/430602.key"],
}
CERTIFICATES = ["tls/ca.crt", "tls/window.crt", "tls/county.crt", "tls/430602-0107-1.crt"]
OWNERS = {"os": "appliance", "county": "appliance-county"}


@pytest.mark.parametrize("left", [0o600, 0o666])
@pytest.mark.parametrize("part", ["os", "county"])
def test_secrets_are_read_by_their_own_program_alone(machine: Path, part: str, left: int) -> None:
    own = [Path("etc/appliance", name) for name in SECRETS[part]]
    group = apply_rights(
        machine, part, [Path("etc/appliance", name) for names in SECRETS.values() for name in names], left
    )
    for path in own:
        found = (machine / path).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, group(OWNERS[part])), path


@pytest.mark.parametrize("part", ["os", "county"])
def test_certificates_are_for_everybody_however_they_were_copied(machine: Path, part: str) -> None:
    paths = [Path("etc/appliance", name) for name in CERTIFICATES]
    if part == "county":
        paths += [Path("etc/mosquitto/certs", name) for name in ("ca.crt", "broker.crt", "ca.crl")]
    apply_rights(machine, part, paths, 0o600)
    for path in paths:
        assert stat.S_IMODE((machine / path).stat().st_mode) == 0o644, path
        assert stat.S_IMODE((machine / path).parent.stat().st_mode) == 0o755, path


def test_the_broker_s_key_is_the_broker_s(machine: Path) -> None:
    key = Path("etc/mosquitto/certs/broker.key")
    group = apply_rights(machine, "county", [key], 0o600)
    found = (machine / key).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, group("mosquitto"))


def apply_rights(machine: Path, part: str, paths: list[Path], left: int) -> Callable[[str], int]:
    """Files and their folders as somebody's umask left them, then tmpfiles; the answer says a group's number there."""
    for path in paths:
        (machine / path).parent.mkdir(parents=True, exist_ok=True)
        (machine / path).write_text("secret")
        (machine / path).chmod(left)
        (machine / path).parent.chmod(0o700)
    words = ["systemd-tmpfiles", f"--root={machine}", "--create", str(FIRMWARE / part / "tmpfiles.conf")]
    if os.getuid() != 0:
        # Only root gives files away. Anybody may be root of a namespace, where there is no other user to give them to.
        everybody_is_root(machine)
        words = ["unshare", "--user", "--map-root-user", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    groups = table_of(machine / "etc/group")
    return lambda name: int(groups[name][2]) if os.getuid() == 0 else os.getgid()


def everybody_is_root(machine: Path) -> None:
    for name in ("passwd", "group"):
        file = machine / "etc" / name
        file.write_text(re.sub(r":x:\d+:(\d+:)?", lambda ids: ":x:0:0:" if ids.group(1) else ":x:0:", file.read_text()))


def test_the_files_that_tmpfiles_guards_are_those_of_the_settings() -> None:
    for sample, part in (("window.toml", "os"), ("county.toml", "county")):
        text = (FIRMWARE / sample).read_text(encoding="utf-8")
        named = re.findall(r'^#?(?:password_file|key_file) = "([^"]+)"', text, flags=re.MULTILINE)
        guarded = {line.split()[1] for line in lines_of(f"{part}/tmpfiles.conf")}
        assert len(named) == 2
        assert {*named, f"/etc/appliance/{sample}"} <= guarded


def test_every_kernel_setting_exists() -> None:
    settings = dict(line.split(" = ") for line in lines_of("os/sysctl.conf"))
    assert settings["kernel.panic"] == "10"
    for name, value in settings.items():
        assert Path("/proc/sys", *name.split(".")).is_file(), name
        assert value.isdigit()


@pytest.mark.parametrize(
    ("file", "section", "program"),
    [
        ("os/journald.conf", "Journal", "/usr/lib/systemd/systemd-journald"),
        ("os/watchdog.conf", "Manager", "/usr/lib/systemd/systemd"),
    ],
)
def test_systemd_knows_every_key(file: str, section: str, program: str) -> None:
    """systemd passes over a key that it does not know; its programs hold the names that they know."""
    head, *settings = lines_of(file)
    assert head == f"[{section}]"
    binary = Path(program).read_bytes()
    for line in settings:
        assert line.split("=")[0].encode() + b"\0" in binary, line


def test_a_kernel_without_one_of_the_drivers_boots_all_the_same(tmp_path: Path) -> None:
    drivers = lines_of("os/modules-load.conf")
    assert all(re.fullmatch(r"[a-z_]+", driver) for driver in drivers)
    # Under names that no kernel has: what is tried is the tool that runs at boot, and not this machine's kernel.
    (tmp_path / "modules.conf").write_text("".join(f"no_such_{driver}\n" for driver in drivers))
    words = ["/usr/lib/systemd/systemd-modules-load", str(tmp_path / "modules.conf")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("Failed to find module")) == (0, len(drivers))


def test_the_watchdog_is_within_what_the_chip_can_count() -> None:
    (seconds,) = (line.split("=")[1] for line in lines_of("os/watchdog.conf") if line.startswith("RuntimeWatchdogSec"))
    assert 5 <= int(seconds) <= 15


def test_the_firmware_sets_the_pins_of_the_shipped_settings() -> None:
    said = dict(line.split("=", 2)[1:] for line in lines_of("boot/appliance.txt") if line.startswith("gpio="))
    by_mode = {mode: {int(pin) for pin in pins.split(",")} for pins, mode in said.items()}
    assert by_mode == {"ip,pu": {*WINDOW.pad.keys, WINDOW.away.pin}, "op,dl": set(WINDOW.pad.lamps)}


def test_the_screens_show_the_pages_of_the_shipped_settings() -> None:
    text = (FIRMWARE / "os/kiosk.conf").read_text(encoding="utf-8")
    assert f"\nset $pages http://{WINDOW.panel.listen}:{WINDOW.panel.port}\n" in text
    assert "\nset $watch /opt/appliance/venv/bin/python -I -m appliance screen\n" in text
    # What ends ends the session: sway starts a program only once.
    shown = re.findall(r"^exec \$watch (\w+) (\S+) \|\| swaymsg exit$", text, flags=re.MULTILINE)
    assert shown == [("resident", "$pages/display"), ("clerk", "$pages/")]


def test_the_samples_and_the_units_agree_on_places() -> None:
    window = (ROOT / "systemd/appliance.service").read_text(encoding="utf-8")
    state = re.findall(r"^StateDirectory=(\S+)$", window, flags=re.MULTILINE)
    assert WINDOW.ledger.path.parent == Path("/var/lib", *state)
    county = (ROOT / "systemd/appliance-county.service").read_text(encoding="utf-8")
    state = re.findall(r"^StateDirectory=(\S+)$", county, flags=re.MULTILINE)
    url = load_county(FIRMWARE / "county.toml").book.url
    assert Path(url.removeprefix("sqlite:///")).parent == Path("/var/lib", *state)
