"""What scenarios stand on: the image, the installed disk, and machines that are switched on when one is needed."""

import copy
import shutil
import time
from pathlib import Path

from tests.lab import supplies
from tests.lab.image import Image, image
from tests.lab.machine import Failed, Machine, Start
from tests.lab.places import GUEST, cache, kept, key
from tests.lab.printer import Printer
from tests.lab.progress import tell

NO_SCREENS = "systemd.mask=appliance-kiosk.service"


class Lab:
    """One run of the lab, in a folder of its own that goes when the next run begins."""

    def __init__(self) -> None:
        self.place = cache() / "run"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        self.image: Image = image()
        self.hands = supplies.hands(self.place)
        self.project, tree = supplies.project(self.place)
        self.wheels = supplies.wheels()
        recipe = [(GUEST.parent / each).read_bytes() for each in ("bench.py", "scenarios/install.py", "readme.py")]
        self._installed = kept("installed", key(self.image.name, tree, self.wheels.parent.name, *recipe))
        self.versions = ""
        self._count = 0
        self._machines: list[Machine] = []
        self._printers: list[Printer] = []
        self._shared: tuple[Machine, Printer] | None = None
        # A machine whose pages are live, left by one scenario for the next: until they are takes minutes.
        self.screens: Machine | None = None

    def lane(self) -> "Lab":
        """The same image, disk and folder with machines of its own, for scenarios that run beside others."""
        other = copy.copy(self)
        other._machines, other._printers, other._shared, other.screens = [], [], None, None
        return other

    # ---- disks

    @property
    def installed(self) -> Path | None:
        """The disk of a machine on which the README has been followed to its end; None before that."""
        disk = self._installed / "disk.qcow2"
        return disk if disk.exists() else None

    def keep(self, machine: Machine) -> None:
        """Keep the disk of a machine that was shut down as the one that the other scenarios start from."""
        self._installed.mkdir(exist_ok=True)
        machine.disk.rename(self._installed / "part")
        (self._installed / "part").rename(self._installed / "disk.qcow2")

    def forget(self) -> None:
        """Follow the README anew."""
        shutil.rmtree(self._installed, ignore_errors=True)

    # ---- machines

    def machine(self, name: str, base: Path | None = None) -> Machine:
        """A machine that is off, on the installed disk or another."""
        base = base or self.installed
        if base is None:
            raise Failed("nothing is installed, because following the README failed")
        self._count += 1
        made = Machine(self.place / f"{name}-{self._count}", self.image, base)
        self._machines.append(made)
        return made

    def printer(self, machine: Machine, pace: float = 0) -> Printer:
        """The printer at the end of a machine's cable."""
        made = Printer(machine.place, pace)
        self._printers.append(made)
        return made

    def on(self, name: str, start: Start) -> Machine:
        """A machine on the installed disk, switched on and with its window serving."""
        made = self.machine(name)
        made.boot(start, self.hands)
        made.hands("serving")
        self.learn(made)
        return made

    def learn(self, machine: Machine) -> None:
        """What runs in there, for the report."""
        asked = "echo Debian $(cat /etc/debian_version), Linux $(uname -r); systemctl --version | head -1; python3 -V"
        self.versions = self.versions or ", ".join(machine.run(asked).splitlines())

    def shared(self) -> tuple[Machine, Printer]:
        """The machine that the scenarios at the counter share: no screens, a clock that is kept, a clerk on duty."""
        if self._shared is None:
            began = time.monotonic()
            made = self.on("counter", Start(words=(NO_SCREENS,)))
            printer = self.printer(made)
            made.hands("time_service", now=time.time())
            self._shared = made, printer
            tell(f"a machine at a counter is on, after {time.monotonic() - began:.0f} s")
        machine, printer = self._shared
        machine.hands("arrive")
        return machine, printer

    def drop(self) -> None:
        """After a failure nobody knows what state the machines are in: the next scenario gets fresh ones."""
        self.close()

    def close(self) -> None:
        """Switch everything off."""
        self._shared = self.screens = None
        while self._printers:
            self._printers.pop().close()
        while self._machines:
            self._machines.pop().cut()
