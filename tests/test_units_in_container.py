"""All units as they ship, under systemd as PID 1: installed as the README says, from nothing, and then treated badly.

No hardware is there: what needs a kernel's GPIO or a real printer is in the lab.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import until
from tests.ground_machine import Machine, NoMachine, machine_on, unless_there_is_none

PATIENCE = 40.0
"""Seconds; Chromium starts in three."""
ALL = ["mosquitto", "appliance-county", "appliance", "appliance-kiosk"]
SERVERS = ALL[:3]
# As the READMEs have it; but for the Python packages, which are those of these tests, and the address of the broker.
INSTALL = """
cd /opt/source
make --no-print-directory install-county PIP=true
make --no-print-directory install KIOSK=1 PIP=true
for site in /opt/appliance/venv/lib/python3*/site-packages; do echo /opt/packages >$site/packages.pth; done
"""
# umask 077 and plain cp: the worst that root may do with certificates.
CERTIFICATES = """
umask 077
authority() { /opt/appliance/certificates -d /root/authority "$@"; }
authority authority 岳阳楼区医疗保障局
authority broker 127.0.0.1
authority sign 430602
authority sign 430602-0107-1
cp /root/authority/out/broker/* /etc/mosquitto/certs
cp /root/authority/out/430602/* /etc/appliance/tls
cp /root/authority/out/430602-0107-1/* /etc/appliance/tls
chmod 600 /etc/mosquitto/certs/*.* /etc/appliance/tls/*
sed -i -E 's/^#(ca_file|cert_file|key_file) /\\1 /; s/mqtt.example.cn/127.0.0.1/' /etc/appliance/*.toml
"""
# The screens of a machine that has none.
HEADLESS = """[Service]
Environment=WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman WLR_HEADLESS_OUTPUTS=2
"""
# The console of the machine in the container is the last one of the machine around it, where nobody is.
CONSOLE = "c /dev/tty0 0620 root tty - 4:63\nc /dev/tty1 0620 root tty - 4:63\n"
NO_CONSOLE = "[Unit]\nConditionPathExists=\n[Service]\nStandardInput=null\n"
# So that a hang is noticed before the test's patience ends; nothing else is quicker than it ships.
QUICK = "[Service]\nWatchdogSec=4\n"
PROXY = "http://127.0.0.1:9"
WATCHER = "^/opt/appliance/venv/bin/python -I -m appliance screen"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    try:
        with machine_on() as machine:
            install(machine)
            yield machine
    except NoMachine as trouble:
        unless_there_is_none(trouble)


def install(machine: Machine) -> None:
    # A proxy for everybody, in each place where one is set.
    machine.sh(f"for name in http_proxy https_proxy all_proxy; do echo $name={PROXY} >>/etc/environment; done")
    variables = " ".join(f"{name}={PROXY}" for name in ("http_proxy", "https_proxy", "all_proxy"))
    machine.write("/etc/systemd/system.conf.d/proxy.conf", f"[Manager]\nDefaultEnvironment={variables}\n")
    machine.sh(f"systemctl daemon-reexec; systemctl set-environment http_proxy={PROXY} HTTP_PROXY={PROXY}")
    machine.sh(INSTALL)
    machine.sh(CERTIFICATES)
    for unit, text in (("appliance-kiosk", HEADLESS), ("appliance", QUICK)):
        machine.write(f"/etc/systemd/system/{unit}.service.d/test.conf", text)
    console(machine)
    machine.sh(
        "sed -i 's/^set $resident .*/set $resident HEADLESS-1/; s/^set $clerk .*/set $clerk HEADLESS-2/' "
        "/etc/appliance/kiosk.conf"
    )
    machine.sh("systemctl daemon-reload; systemctl restart mosquitto appliance-county; systemctl start appliance")


def console(machine: Machine) -> None:
    """A console for the screens, with a login on it as on every Debian; a kernel without any has to do without."""
    if not Path("/dev/tty63").exists():
        machine.write("/etc/systemd/system/appliance-kiosk.service.d/console.conf", NO_CONSOLE)
        return
    machine.write("/etc/tmpfiles.d/console.conf", CONSOLE)
    machine.sh("systemd-tmpfiles --create /etc/tmpfiles.d/console.conf; systemctl enable --now --quiet getty@tty1")


def health(machine: Machine) -> dict[str, object]:
    said = machine.page("8080/healthz")
    answer: dict[str, object] = json.loads(said) if said else {}
    return answer


def connected(machine: Machine) -> bool:
    return health(machine).get("connected") is True


def serves(machine: Machine) -> bool:
    return machine.is_active("appliance") and health(machine).get("ok") is True


def screens(machine: Machine) -> dict[str, str]:
    """The title of the page on each screen, as sway has it."""
    found = machine.sh(
        "for socket in /run/appliance-kiosk/sway-ipc.*; do swaymsg -r -t get_tree -s $socket || true; done"
    )
    if not found:
        return {}
    return {
        output["name"]: window["name"]
        for output in json.loads(found)["nodes"]
        for place in output["nodes"]
        for window in place["nodes"]
        if place["name"] in ("resident", "clerk")
    }


def comes(machine: Machine, true: Callable[[], object], *units: str) -> None:
    """Wait until something is true; if it never is, the journals of the units say why."""
    try:
        until(true, PATIENCE)
    except AssertionError as late:
        late.add_note("\n".join(f"{unit}:\n{machine.journal(unit)[-3000:]}" for unit in units))
        raise


def all_run(machine: Machine, *units: str) -> None:
    comes(machine, lambda: all(machine.is_active(unit) for unit in units), *units)
    comes(machine, lambda: connected(machine), *SERVERS)
    assert machine.run("systemctl", "--failed", "--quiet", "--plain", check=False).stdout == ""


BOTH = {"HEADLESS-1": "居民屏 · 1号窗口", "HEADLESS-2": "经办面板 · 1号窗口"}


def both_screens(machine: Machine) -> None:
    until(lambda: screens(machine) == BOTH, PATIENCE, f"on the screens is {screens(machine)}")


def watchers(machine: Machine) -> list[int]:
    return [int(pid) for pid in machine.run("pgrep", "-f", WATCHER, check=False).stdout.split()]


def came_back(machine: Machine, unit: str, before: str) -> None:
    """The unit runs again, in another process."""
    until(
        lambda: machine.is_active(unit) and machine.show(unit, "MainPID") not in ("0", before),
        PATIENCE,
        f"{unit} did not come back",
    )


# ---- from nothing -----------------------------------------------------------------------------------------------


def test_everything_runs_and_the_window_reaches_the_county(machine: Machine) -> None:
    all_run(machine, *SERVERS)
    assert "1号窗口" in (machine.page("8080/display") or "")
    assert "岳阳楼区医疗保障局" in (machine.page("8090/") or "")


def test_certificates_and_keys_have_their_rights_whoever_copied_them(machine: Machine) -> None:
    assert machine.rights("/etc/mosquitto/certs/broker.key") == "640 root mosquitto"
    assert machine.rights("/etc/appliance/tls/window.key") == "640 root appliance"
    assert machine.rights("/etc/appliance/tls/county.key") == "640 root appliance-county"
    for name in (
        "mosquitto/certs/ca.crt",
        "mosquitto/certs/broker.crt",
        "appliance/tls/ca.crt",
        "appliance/tls/window.crt",
    ):
        assert machine.rights(f"/etc/{name}") == "644 root root"


# ---- the sandbox ------------------------------------------------------------------------------------------------

CLOCK = """
import ctypes, json, os
def ask(modes):
    timex = ctypes.create_string_buffer(256)
    timex.raw = modes.to_bytes(4, "little") + bytes(252)
    kernel = ctypes.CDLL(None, use_errno=True)
    state = kernel.adjtimex(timex)
    return state if state >= 0 else os.strerror(ctypes.get_errno())
# 0: only ask. 0x4000: set the length of a tick.
print(json.dumps({"asked": ask(0), "set": ask(0x4000)}))
"""


def test_the_window_may_ask_whether_the_clock_is_set_and_may_not_set_it(machine: Machine) -> None:
    outside = json.loads(machine.run("python3", "-c", CLOCK).stdout)
    inside = machine.inside("appliance.service", CLOCK)
    assert isinstance(inside["asked"], int)
    assert inside["asked"] == outside["asked"]
    assert inside["set"] == "Operation not permitted"


OPEN = """
import json, os, sys
said = {}
for name in os.listdir("/dev"):
    if name.startswith("probe-"):
        try:
            os.close(os.open("/dev/" + name, os.O_RDWR | os.O_NOCTTY))
            said[name] = ""
        except OSError as trouble:
            said[name] = os.strerror(trouble.errno)
print(json.dumps(said))
"""
# What a machine without the driver says of a device whose opening is allowed.
ALLOWED = {"No such device or address", "No such device", ""}


def test_a_driver_that_comes_after_the_window_is_allowed_and_a_disk_is_not(machine: Machine) -> None:
    nodes = {"ttyUSB": "c 188 7", "ttyACM": "c 166 7", "ttyAMA": "c 204 71", "lp": "c 180 7", "video": "c 81 7"}
    other = {
        "memory": "c 1 1",
        "screen": "c 7 1",
        "disk": "b 254 0",
        "loop": "b 7 0",
        "input": "c 13 64",
        "net": "c 10 200",
    }
    for name, node in {**nodes, **other}.items():
        machine.sh(f"rm -f /dev/probe-{name}; mknod -m 666 /dev/probe-{name} {node}")
    devices = machine.read("/proc/devices")
    said = machine.inside("appliance.service", OPEN)
    assert {name: said[f"probe-{name}"] for name in other} == dict.fromkeys(other, "Operation not permitted")
    assert {said[f"probe-{name}"] for name in nodes} <= ALLOWED, said
    # It is the number that allows it: the names are not there.
    assert not re.search(r"^188 ", devices, flags=re.MULTILINE)
    machine.sh("rm /dev/probe-*")


@pytest.mark.parametrize("unit", ["appliance", "appliance-county"])
def test_the_program_asks_nothing_that_its_sandbox_forbids(machine: Machine, unit: str) -> None:
    """A question that may not be asked must not be answered with no: here each would be its end."""
    machine.write(f"/run/systemd/system/{unit}.service.d/kill.conf", "[Service]\nSystemCallErrorNumber=kill\n")
    machine.sh(f"systemctl daemon-reload; systemctl restart {unit}")
    comes(machine, lambda: connected(machine), unit)
    for address in ("8080/", "8080/display", "8090/"):
        assert "<html" in (machine.page(address) or "")
    machine.sh(f"systemctl stop {unit}")
    assert (machine.show(unit, "Result"), machine.show(unit, "NRestarts")) == ("success", "0")
    machine.sh(f"rm /run/systemd/system/{unit}.service.d/kill.conf; systemctl daemon-reload; systemctl start {unit}")


def test_the_chip_is_the_window_s_before_the_window_starts(machine: Machine) -> None:
    machine.sh("rm -f /dev/gpiochip7; mknod -m 600 /dev/gpiochip7 c 254 7; systemctl restart appliance")
    assert machine.rights("/dev/gpiochip7") == "660 root gpio"
    machine.sh("rm /dev/gpiochip7")


def test_the_state_of_one_is_not_the_other_s_to_read(machine: Machine) -> None:
    look = "import json, os; print(json.dumps([os.access(p, os.R_OK) for p in %r]))"
    window, county, screens = (
        "/var/lib/appliance/ledger.db",
        "/var/lib/appliance-county/book.db",
        "/etc/appliance/window.toml",
    )
    own = [window, county, screens, "/etc/shadow", "/root"]
    assert machine.inside("appliance.service", look % own) == [True, False, True, False, False]
    assert machine.inside("appliance-county.service", look % own) == [False, True, False, False, False]


# ---- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", SERVERS)
def test_what_is_killed_comes_back(machine: Machine, unit: str) -> None:
    before = machine.show(unit, "MainPID")
    machine.run("kill", "-9", before)
    came_back(machine, unit, before)
    comes(machine, lambda: connected(machine), *SERVERS)


def test_a_window_that_hangs_is_ended_and_comes_back(machine: Machine) -> None:
    before = machine.show("appliance", "MainPID")
    machine.run("kill", "-STOP", before)
    came_back(machine, "appliance", before)
    assert "Watchdog timeout" in machine.journal("appliance")
    comes(machine, lambda: serves(machine), "appliance")


def test_wrong_settings_are_told_once_and_not_tried_again(machine: Machine) -> None:
    machine.replace("/etc/appliance/window.toml", 'level = "township"', 'level = "moon"')
    machine.run("systemctl", "restart", "appliance", check=False)
    until(lambda: machine.show("appliance", "ActiveState") == "failed", PATIENCE)
    assert (machine.show("appliance", "ExecMainStatus"), machine.show("appliance", "NRestarts")) == ("2", "0")
    status = machine.run("systemctl", "status", "--no-pager", "--lines=6", "appliance", check=False).stdout
    assert "station.level" in status or "[station]" in status, status
    machine.replace("/etc/appliance/window.toml", 'level = "moon"', 'level = "township"')
    machine.sh("systemctl start appliance")
    comes(machine, lambda: connected(machine), *SERVERS)


def test_a_start_mends_what_root_put_back(machine: Machine) -> None:
    """A key, the settings and the ledger, from a copy on a stick, by root with a narrow umask."""
    machine.sh(
        "systemctl stop appliance; cd /etc/appliance; chown root:root window.toml tls/* /var/lib/appliance/*;"
        "chmod 600 window.toml tls/* /var/lib/appliance/*; chmod 700 tls; systemctl start appliance"
    )
    comes(machine, lambda: connected(machine) and serves(machine), "appliance")
    assert machine.rights("/var/lib/appliance/ledger.db") == "600 appliance appliance"


def test_a_broker_whose_certificate_comes_late_comes_up_by_itself(machine: Machine) -> None:
    """Debian's own unit gives up after five starts."""
    machine.write("/run/systemd/system/mosquitto.service.d/quick.conf", "[Service]\nRestartSec=100ms\n")
    machine.sh("systemctl daemon-reload; mv /etc/mosquitto/certs/broker.crt /root; systemctl kill mosquitto")
    until(lambda: int(machine.show("mosquitto", "NRestarts")) > 7, PATIENCE)
    machine.sh("umask 077; cp /root/broker.crt /etc/mosquitto/certs; rm /root/broker.crt")
    comes(machine, lambda: machine.is_active("mosquitto") and connected(machine), *SERVERS)
    machine.sh("rm /run/systemd/system/mosquitto.service.d/quick.conf; systemctl daemon-reload")


SPOILT = {
    "read-only": "mount --bind /var/lib/appliance /var/lib/appliance; mount -o remount,bind,ro /var/lib/appliance",
    "full": "mount -t tmpfs -o size=64k,mode=700,uid=$(id -u appliance) card /var/lib/appliance;"
    "head -c 65536 /dev/zero >/var/lib/appliance/full || true",
}


@contextmanager
def spoilt(machine: Machine, trouble: str) -> Iterator[None]:
    """The window started with its ledger on a card that takes nothing; whole again afterwards."""
    machine.sh(f"systemctl stop appliance; {SPOILT[trouble]}; systemctl start --no-block appliance")
    try:
        comes(machine, lambda: "本窗口现在不能办理" in (machine.page("8080/") or ""), "appliance")
        yield
        assert machine.show("appliance", "NRestarts") == "0"
    finally:
        machine.sh("systemctl stop appliance; umount /var/lib/appliance; systemctl start appliance")
    comes(machine, lambda: serves(machine), "appliance")


def test_a_window_whose_card_is_read_only_serves_the_page_that_says_so(machine: Machine) -> None:
    with spoilt(machine, "read-only"):
        assert "1号窗口" in (machine.page("8080/display") or "")


# ---- the screens ------------------------------------------------------------------------------------------------


def test_each_page_is_on_its_screen_although_a_proxy_is_set_everywhere(machine: Machine) -> None:
    machine.sh("systemctl start appliance-kiosk")
    both_screens(machine)
    told = machine.sh("tr '\\0' '\\n' </proc/$(systemctl show --value -p MainPID appliance-kiosk)/environ")
    assert "proxy" not in told.lower()


def test_the_page_that_says_that_the_card_is_full_is_on_the_screen(machine: Machine) -> None:
    machine.sh("systemctl stop appliance-kiosk")
    with spoilt(machine, "full"):
        machine.sh("systemctl start appliance-kiosk")
        # The title comes with the page: no page of the browser's own has it.
        both_screens(machine)


def test_when_sway_is_killed_the_screens_are_one_set_again(machine: Machine) -> None:
    both_screens(machine)
    assert len(watchers(machine)) == 2
    before = machine.show("appliance-kiosk", "MainPID")
    machine.run("kill", "-9", before)
    came_back(machine, "appliance-kiosk", before)
    both_screens(machine)
    assert len(watchers(machine)) == 2
    assert_nothing_is_outside(machine)


def assert_nothing_is_outside(machine: Machine) -> None:
    """Every process of the screens' user is in the unit's cgroup, where a stop and MemoryMax= reach it."""

    def outside() -> set[int]:
        users = {int(pid) for pid in machine.run("pgrep", "-u", "appliance-kiosk").stdout.split()}
        return users - machine.processes("appliance-kiosk")

    # One that ends between the two looks is in neither the next time.
    until(lambda: not outside(), PATIENCE, "a process of the screens is outside their unit")
    assert int(machine.show("appliance-kiosk", "MemoryMax")) == 1500 * 1024 * 1024


def test_when_sway_ends_well_it_is_started_again(machine: Machine) -> None:
    before = machine.show("appliance-kiosk", "MainPID")
    machine.sh("swaymsg -s /run/appliance-kiosk/sway-ipc.* exit || true")
    came_back(machine, "appliance-kiosk", before)
    both_screens(machine)


def test_chromium_has_its_own_sandbox(machine: Machine) -> None:
    until(lambda: machine.run("pgrep", "-f", "type=renderer", check=False).stdout, PATIENCE)
    (pid, *_) = machine.run("pgrep", "-u", "appliance-kiosk", "-f", "type=renderer").stdout.split()
    status = machine.read(f"/proc/{pid}/status")
    assert re.search(r"^Seccomp:\t2$", status, flags=re.MULTILINE)
    # A PID namespace within its own: it has more than one number.
    assert re.search(r"^NSpid:\t\d+\t\d+", status, flags=re.MULTILINE)


def test_a_stop_leaves_nothing_behind(machine: Machine) -> None:
    machine.sh("systemctl stop appliance-kiosk")
    assert machine.run("pgrep", "-u", "appliance-kiosk", check=False).stdout == ""
    machine.sh("systemctl start appliance-kiosk")


# ---- once more --------------------------------------------------------------------------------------------------


def test_a_second_installation_changes_nothing_and_everything_serves(machine: Machine) -> None:
    before = machine.sh(
        "cd /etc; find appliance mosquitto systemd sysusers.d tmpfiles.d -type f -exec sha256sum {} + | sort"
    )
    machine.sh(INSTALL)
    after = machine.sh(
        "cd /etc; find appliance mosquitto systemd sysusers.d tmpfiles.d -type f -exec sha256sum {} + | sort"
    )
    assert after == before
    comes(machine, lambda: serves(machine) and connected(machine), *SERVERS)


def test_after_the_power_was_away_everything_comes_up_by_itself(machine: Machine) -> None:
    machine.sh("systemctl enable mosquitto")
    machine.restart()
    all_run(machine, *ALL)
    both_screens(machine)
