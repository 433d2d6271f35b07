"""The udev rules give devices their role names: udev itself is asked, about devices in a sysfs that only it sees.

In a mount namespace of its own, without rights over the real /dev and /run, `udevadm test` finds our rules, our groups,
and a made-up /sys: what it says that it would do is what is checked.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parent.parent / "firmware_config"

# Path below /sys/devices, subsystem, what the kernel says of it.
DEVICES = {
    "ch340": ("usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0", "class/tty", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n"),
    "other": ("usb1/1-2/1-2:1.0/ttyUSB1/tty/ttyUSB1", "class/tty", "MAJOR=188\nMINOR=1\nDEVNAME=ttyUSB1\n"),
    "acm": ("usb1/1-3/1-3:1.0/tty/ttyACM0", "class/tty", "MAJOR=166\nMINOR=0\nDEVNAME=ttyACM0\n"),
    "lp": ("usb1/1-4/1-4:1.0/usbmisc/lp0", "class/usbmisc", "MAJOR=180\nMINOR=0\nDEVNAME=usb/lp0\n"),
    "uart": ("platform/soc/tty/ttyAMA0", "class/tty", "MAJOR=204\nMINOR=64\nDEVNAME=ttyAMA0\n"),
    "console": ("virtual/tty/tty1", "class/tty", "MAJOR=4\nMINOR=1\nDEVNAME=tty1\n"),
    "gpio": ("platform/soc/gpiochip0", "class/gpio", "MAJOR=254\nMINOR=0\nDEVNAME=gpiochip0\n"),
    "memory": ("virtual/dma_heap/linux,cma", "class/dma_heap", "MAJOR=251\nMINOR=0\nDEVNAME=dma_heap/linux,cma\n"),
    "ch340 chip": ("usb1/1-1", "bus/usb", "DEVTYPE=usb_device\n"),
}
# The maker's number of what is in each USB socket; beef makes no adapter that we know.
SOCKETS = {"1-1": "1a86", "1-2": "beef", "1-3": "0416", "1-4": "04b8"}


def make_sysfs(place: Path) -> None:
    for socket, maker in SOCKETS.items():
        chip = add_device(place, f"usb1/{socket}", "bus/usb", "DEVTYPE=usb_device\n")
        (chip / "idVendor").write_text(maker + "\n")
        (chip / "power").mkdir()
        (chip / "power/control").write_text("auto\n")
    for path, subsystem, uevent in DEVICES.values():
        add_device(place, path, subsystem, uevent)


def add_device(place: Path, path: str, subsystem: str, uevent: str) -> Path:
    device = place / "devices" / path
    device.mkdir(parents=True, exist_ok=True)
    (place / subsystem).mkdir(parents=True, exist_ok=True)
    (device / "uevent").write_text(uevent)
    if not (device / "subsystem").is_symlink():
        (device / "subsystem").symlink_to(f"/sys/{subsystem}")
    return device


class Udev:
    """udev's own tool in a namespace with our rules, groups and devices."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "rules").mkdir()
        shutil.copy(FIRMWARE / "os/99-appliance.rules", place / "rules")
        make_sysfs(place / "sys")
        groups = Path("/etc/group").read_text()
        missing = [name for name in ("gpio", "dialout", "lp") if f"\n{name}:" not in groups]
        ours = "".join(f"{name}:x:{990 + number}:\n" for number, name in enumerate(missing))
        (place / "group").write_text(groups + ours)

    def asked(self, device: str) -> str:
        """Everything that udev says when the device is plugged in."""
        path = DEVICES[device][0]
        binds = f"""
            mount --bind {self.place}/rules /etc/udev/rules.d &&
            mount --bind {self.place}/group /etc/group &&
            mount --bind {self.place}/sys /sys &&
            SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test -a add /sys/devices/{path}
        """
        # Root of a user namespace has no rights over devices: udev can say what it would do and cannot do it.
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", binds]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "99-appliance.rules" in done.stdout + done.stderr, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def udev() -> Iterator[Udev]:
    with tempfile.TemporaryDirectory(prefix="udev-") as folder:
        # Another user, who has no rights, reads it.
        Path(folder).chmod(0o755)
        yield Udev(Path(folder))


def names_of(said: str) -> list[str]:
    """The links that udev would make, besides those of the system's own rules."""
    links = [line.split("=", 1)[1] for line in said.splitlines() if line.strip().startswith("DEVLINKS=")]
    return [name for line in links for name in line.split() if name.startswith("/dev/appliance")]


@pytest.mark.parametrize("device", ["ch340", "acm", "lp"])
def test_a_printer_has_one_name_in_whichever_socket(udev: Udev, device: str) -> None:
    assert names_of(udev.asked(device)) == ["/dev/appliance-printer"]


@pytest.mark.parametrize("device", ["other", "console"])
def test_what_is_no_printer_does_not_take_its_name(udev: Udev, device: str) -> None:
    assert names_of(udev.asked(device)) == []


def test_the_header_s_uart_has_a_name_of_its_own(udev: Udev) -> None:
    assert names_of(udev.asked("uart")) == ["/dev/appliance-uart"]


@pytest.mark.parametrize(
    ("device", "group"), [("ch340", "dialout"), ("lp", "lp"), ("gpio", "gpio"), ("memory", "video")]
)
def test_the_window_s_groups_may_open_it(udev: Udev, device: str, group: str) -> None:
    said = udev.asked(device)
    number = next(
        line.split(":")[2] for line in (udev.place / "group").read_text().splitlines() if line.startswith(f"{group}:")
    )
    ours = [line for line in said.splitlines() if "99-appliance.rules" in line]
    assert [line for line in ours if line.endswith(f"GROUP {number}")], ours
    assert [line for line in ours if line.endswith("MODE 0660")], ours


def test_no_modem_is_looked_for_in_a_printer_and_it_is_not_put_to_sleep(udev: Udev) -> None:
    assert "ID_MM_DEVICE_IGNORE=1" in udev.asked("ch340")
    assert "power/control' writing 'on'" in udev.asked("ch340 chip")


def test_udev_finds_nothing_wrong_in_the_rules(udev: Udev) -> None:
    said = udev.asked("console")
    assert not [line for line in said.splitlines() if "99-appliance.rules:" in line]
    # And would say so: a rule with a mistake in it is told by file and line.
    broken = udev.place / "rules/98-broken.rules"
    broken.write_text('SUBSYSTEM=="tty", SYMLINK+="x\n')
    try:
        assert "98-broken.rules:1" in udev.asked("console")
    finally:
        broken.unlink()
