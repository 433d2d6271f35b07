"""Builds what Debian does not ship: the simulated GPIO chip's kernel module, and python3-lgpio as a package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.progress import do
from tests.lab.recipe import LGPIO, LGPIO_SHA256, SUITE, WORKSHOP

MODULE, LGPIO_DEB = "gpio-sim.ko", "python3-lgpio.deb"


class Workshop:
    """A Debian of the guest's suite with a compiler, thrown away when both things are built."""

    def __init__(self, place: Path, source: str) -> None:
        self.place = place
        self._root = place / "workshop"
        self._source = source
        self._journal = place / "workshop.log"

    def build(self) -> None:
        """Leave the module, its kernel's version and the package in `place`."""
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(WORKSHOP)}", SUITE]
        do("building: a Debian with a compiler", [*command, str(self._root), self._source], self._journal)
        self._module()
        self._lgpio()
        shutil.rmtree(self._root)

    def _chroot(self, what: str, *command: str) -> None:
        do(what, ["chroot", str(self._root), *command], self._journal)

    def _module(self) -> None:
        """gpio-sim and the irq_sim it needs, linked into one module: neither is switched on in Debian's kernel."""
        kernel = next((self._root / "lib/modules").glob("*/build")).parent.name
        archive = next((self._root / "usr/src").glob("linux-source-*.tar.xz"))
        top = archive.name.removesuffix(".tar.xz")
        room = self._root / "gpio-sim"
        room.mkdir()
        wanted = [
            f"{top}/{each}" for each in ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
        ]
        do("building: the kernel's sources", ["tar", "-C", str(room), "-xf", str(archive), *wanted], self._journal)
        (room / "gpio-sim-core.c").write_text(contacts_win((room / wanted[0]).read_text()))
        shutil.copy(room / wanted[1], room / "gpiolib.h")
        (room / "irq_sim.c").write_text(module_of_its_own((room / wanted[2]).read_text()))
        (room / "Makefile").write_text("obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-core.o irq_sim.o\n")
        build = f"/lib/modules/{kernel}/build"
        self._chroot(f"building: gpio-sim for {kernel}", "make", "-C", build, "M=/gpio-sim", "modules")
        shutil.copy(room / MODULE, self.place / MODULE)
        (self.place / "kernel").write_text(kernel)

    def _lgpio(self) -> None:
        """Debian's missing python3-lgpio from the source that its makers publish, with their C library inside."""
        room = self._root / "lgpio"
        room.mkdir()
        lock = self.place / "lgpio.txt"
        lock.write_text(f"lgpio=={LGPIO} --hash=sha256:{LGPIO_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
        fetch = [*pip, "--require-hashes", "--no-build-isolation", "-r", str(lock), "-d", str(room)]
        do("building: the source of lgpio", fetch, self._journal)
        self._chroot("building: python3-lgpio", "sh", "-euc", LGPIO_BUILD, "sh", LGPIO)
        shutil.copy(room / "package.deb", self.place / LGPIO_DEB)


# PYPI=1 is how its setup.py is told to bring its C library along.
LGPIO_BUILD = """
cd /lgpio
tar -xf lgpio-$1.tar.gz
cd lgpio-$1
PYPI=1 python3 setup.py -q install --root=/lgpio/tree --install-layout=deb
mkdir -p /lgpio/tree/DEBIAN
printf '%s\\n' 'Package: python3-lgpio' "Version: $1-0lab" 'Architecture: amd64' 'Depends: python3' \
    'Maintainer: the lab <lab@localhost>' 'Description: as Raspberry Pi OS has it' >/lgpio/tree/DEBIAN/control
dpkg-deb --root-owner-group --build /lgpio/tree /lgpio/package.deb
"""


def contacts_win(source: str) -> str:
    """gpio-sim with a contact that is stronger than the chip's own pull, as a key to ground is stronger than 50 kΩ.

    Unchanged, a line that a program asks for with a pull-up reads as open, and no contact could be closed before it.
    """
    changed, times = re.subn(
        r"(case PIN_CONFIG_BIAS_PULL_(?:UP|DOWN):\s*)return gpio_sim_apply_pull\([^;]*;", r"\1return 0;", source
    )
    if times != 2:
        raise LookupError("gpio_sim_set_config has changed: its two pulls were not found")
    return changed


def module_of_its_own(source: str) -> str:
    """irq_sim without its exports, and with the one function replaced that the kernel does not export to modules."""
    source = re.sub(r"^EXPORT_SYMBOL.*$", "", source, flags=re.MULTILINE)
    return source.replace("irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))")


def candidate(package: str, source: str, place: Path) -> str:
    """The version of a package that this mirror has now, asked by an apt that knows nothing but this mirror."""
    for each in ("state/lists/partial", "cache/archives/partial", "etc"):
        (place / each).mkdir(parents=True, exist_ok=True)
    (place / "state/status").touch()
    (place / "sources.list").write_text(f"{source}\n")
    options = {
        "Dir::State": place / "state",
        "Dir::State::status": place / "state/status",
        "Dir::Cache": place / "cache",
        "Dir::Etc::SourceList": place / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "Acquire::Languages": "none",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    do("asking the mirror for its kernel", ["apt-get", *words, "-qq", "update"], place / "apt.log")
    policy = subprocess.run(["apt-cache", *words, "policy", package], capture_output=True, text=True, check=True)
    found = re.search(r"Candidate: (\S+)", policy.stdout)
    if found is None:
        raise LookupError(f"the mirror has no {package} for {SUITE}")
    return found[1]
