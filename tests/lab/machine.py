"""One virtual machine: switched on, asked, unplugged, its power cut. QEMU without acceleration runs anywhere."""

import atexit
import contextlib
import json
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.lab import qmp
from tests.lab.image import Image
from tests.lab.places import ROOT

# What takes a Pi a second takes this machine twenty.
BOOT_S = 240
PRINTER = {"driver": "usb-serial", "chardev": "printer", "id": "printer", "bus": "usb.0", "always-plugged": True}


# Drivers of a PC that a Pi has not; each takes a second of the boot here.
NOT_ON_A_PI = "module_blacklist=kvm_amd,kvm,powernow_k8,pcspkr,i2c_i801,iTCO_wdt,cfg80211,psmouse,lpc_ich"
# Where there is no cmdline.txt, the kernel is told here what `make install` adds to a Pi's.
SHIPPED = [
    word
    for word in (ROOT / "firmware_config/boot/cmdline.txt").read_text(encoding="utf-8").splitlines()
    if not word.startswith("#")
]


class Failed(Exception):
    """A command in the guest, or something asked of it, did not end well."""


class Start(Struct, frozen=True, kw_only=True):
    """How a machine is switched on."""

    printer: bool = True
    screens: bool = False
    words: tuple[str, ...] = ()
    clock: str = "utc"
    # Only while programs are installed: the host may keep what the guest believes to be on its disk.
    careless: bool = False
    disks: tuple[Path, ...] = ()


class Machine:
    """A guest in a folder of its own: `disk.qcow2` over its base, sockets, the console's text."""

    def __init__(self, place: Path, image: Image, base: Path) -> None:
        self.place = place
        self.image = image
        self.disk = place / "disk.qcow2"
        self.console = place / "console.log"
        place.mkdir(parents=True, exist_ok=True)
        kind = "raw" if base.suffix == ".raw" else "qcow2"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(base), str(self.disk)]
        subprocess.run(command, check=True)
        self._child: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        atexit.register(self.cut)

    # ---- power

    def on(self, start: Start, hands: Path) -> None:
        """Switch it on; returns at once."""
        for each in self.place.glob("*.sock"):
            each.unlink()
        with (self.place / "qemu.log").open("ab") as journal:
            # When we die in any way, the machine dies too.
            command = ["setpriv", "--pdeathsig", "KILL", *self._command(start, hands)]
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal)
        self.began = time.monotonic()

    def boot(self, start: Start, hands: Path) -> float:
        """Switch it on and wait for the agent, which comes with multi-user.target; how long that took."""
        self.on(start, hands)
        return self.wait()

    def cut(self) -> None:
        """The power is gone, now: nothing that was only in its memory reaches the disk."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def shut(self, within: float = 180) -> None:
        """Shut it down as a person does, and wait until it is off."""
        assert self._child is not None
        with contextlib.suppress(TimeoutError, Failed):
            self.run("(sleep 0.5; systemctl poweroff) >/dev/null 2>&1 &", 20)
        try:
            self._child.wait(within)
        except subprocess.TimeoutExpired as late:
            self.cut()
            raise Failed(f"it did not shut down within {within:.0f} s") from late
        self._child = None

    def wait(self, within: float = BOOT_S) -> float:
        """Wait until the agent answers; seconds since the power came."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self._lives()
            with contextlib.suppress(OSError, TimeoutError, EOFError, Failed):
                self._ask({"do": "up", "with": {}}, 5)
                return time.monotonic() - self.began
            time.sleep(0.25)
        raise Failed(f"no agent within {within:.0f} s; the console's last words:\n{self.tail()}")

    def tail(self) -> str:
        """The end of what the console said."""
        return self.console.read_text(errors="replace")[-1500:] if self.console.exists() else ""

    # ---- asking

    def run(self, command: str, within: float = 120) -> str:
        """What a command printed in the guest; Failed when it ended with anything but 0."""
        done = self.attempt(command, within)
        if done["code"]:
            raise Failed(f"{command!r} ended with {done['code']}:\n{str(done['text'])[-3000:]}")
        return str(done["text"]).strip()

    def attempt(self, command: str, within: float = 120) -> dict[str, Any]:
        """A command's exit code and text."""
        return dict(self._ask({"do": "run", "with": {"command": command, "timeout": within}}, within + 30))

    def hands(self, name: str, /, **given: Any) -> Any:
        """One of the functions in `guest/hands.py`, which know themselves how long they wait."""
        return self._ask({"do": name, "with": given}, given.get("within", 120) + 120)

    def put(self, path: str, text: str) -> None:
        """Write a file in the guest."""
        self.run(f"mkdir -p $(dirname {path}) && cat >{path} <<'END OF FILE'\n{text}\nEND OF FILE")

    def _ask(self, question: dict[str, Any], within: float) -> Any:
        mark = secrets.token_hex(4)
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(within)
            link.connect(str(self.place / "agent.sock"))
            link.sendall(b"\n" + json.dumps({"mark": mark, **question}).encode() + b"\n")
            reply = _reply(link, mark)
        if "wrong" in reply:
            raise Failed(f"{question['do']} in the guest: {reply['wrong']}")
        return reply["is"]

    def _lives(self) -> None:
        if self._child is None or self._child.poll() is not None:
            raise Failed(f"QEMU has ended: {(self.place / 'qemu.log').read_text(errors='replace')[-1500:]}")

    # ---- cables and screens

    def qmp(self, command: str, **arguments: object) -> Any:
        """A word to the machine itself."""
        return qmp.tell(self.place / "qmp.sock", command, **arguments)

    def wait_for(self, event: str, within: float) -> float:
        """Wait until QEMU says that this happened; how long that took."""
        began = time.monotonic()
        qmp.wait_for(self.place / "qmp.sock", event, within)
        return time.monotonic() - began

    def unplug(self) -> None:
        """Pull the printer's USB plug."""
        self.qmp("device_del", id="printer")

    def plug(self) -> None:
        """Put it in again."""
        self.qmp("device_add", **PRINTER)

    def picture(self, head: int, file: Path) -> bytes:
        """What is on a screen now, as a PNG; its bytes."""
        self.qmp("screendump", filename=str(file), device="gpu", head=head, format="png")
        return file.read_bytes()

    # ---- how QEMU is told all this

    def _command(self, start: Start, hands: Path) -> list[str]:
        memory = "2048" if start.screens or start.careless else "1024"
        cache = "unsafe" if start.careless else "none"
        # A second head is only there when somebody says that something is plugged in.
        heads = ["video=Virtual-1:1024x600@60e", "video=Virtual-2:1024x600@60e"] if start.screens else []
        words = [
            "root=/dev/vda",
            "rootfstype=ext4",
            "rw",
            "console=ttyS0,115200",
            "mitigations=off",
            NOT_ON_A_PI,
            *SHIPPED,
            *heads,
            *start.words,
        ]
        drives = [f"file={self.disk},format=qcow2,cache={cache}"]
        drives += [f"file={each},format=raw,readonly=on" for each in (hands, *start.disks)]
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]
        command += ["-smp", "2", "-m", memory, "-nodefaults", "-display", "none", "-rtc", f"base={start.clock}"]
        command += ["-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", " ".join(words)]
        for number, drive in enumerate(drives):
            command += ["-drive", f"if=none,id=disk{number},{drive}", "-device", f"virtio-blk-pci,drive=disk{number}"]
        command += self._serial("console", f"file,path={self.console},append=on", "isa-serial")
        command += self._serial("thanks", self._socket("thanks"), "isa-serial")
        command += [
            "-device",
            "virtio-serial-pci",
            *self._serial("agent", self._socket("agent"), "virtserialport,name=lab.agent"),
        ]
        command += [
            "-device",
            "qemu-xhci,id=usb",
            "-chardev",
            f"{self._socket('printer').replace('socket,', 'socket,id=printer,', 1)}",
        ]
        if start.printer:
            command += ["-device", "usb-serial,chardev=printer,id=printer,bus=usb.0,always-plugged=on"]
        if start.screens:
            command += ["-device", "virtio-gpu-pci,id=gpu,max_outputs=2", "-device", "usb-tablet,bus=usb.0"]
        command += ["-device", "i6300esb,id=watchdog", "-action", "watchdog=reset"]
        command += ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"]
        command += [
            "-nic",
            "user,model=virtio-net-pci,id=net0",
            "-qmp",
            f"unix:{self.place / 'qmp.sock'},server=on,wait=off",
        ]
        return command

    def _socket(self, name: str) -> str:
        return f"socket,path={self.place / name}.sock,server=on,wait=off"

    def _serial(self, name: str, chardev: str, device: str) -> list[str]:
        kind, _, rest = chardev.partition(",")
        driver, _, more = device.partition(",")
        return [
            "-chardev",
            f"{kind},id={name},{rest}",
            "-device",
            f"{driver},chardev={name}{',' + more if more else ''}",
        ]


def _reply(link: socket.socket, mark: str) -> dict[str, Any]:
    held = b""
    while got := link.recv(65536):
        *lines, held = (held + got).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                reply = json.loads(line)
                if reply.get("mark") == mark:
                    return dict(reply)
    raise EOFError("QEMU closed the agent's port")


def end_with_us() -> None:
    """A stop from outside ends as a Ctrl-C does: by way of everything that has to be tidied up."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # Also where a shell that started us in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
