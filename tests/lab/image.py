"""Builds the guest's disk: Debian, the simulated chip, and a repository of what the installers ask for."""

import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from tests.lab import mirror
from tests.lab.debs import uncompressed
from tests.lab.places import GUEST, cache, kept, key
from tests.lab.progress import do, tell
from tests.lab.recipe import BASE, DISK, KERNEL, LGPIO_SHA256, OFFERED, SUITE, WORKSHOP
from tests.lab.workshop import LGPIO_DEB, MODULE, Workshop, candidate

# What of the lab lies on the guest's own disk: units only. What they start comes on a disk of its own at each boot.
FILES = {
    "lab-unpack.service": "/etc/systemd/system/lab-unpack.service",
    "lab-agent.service": "/etc/systemd/system/lab-agent.service",
    "lab-chip.service": "/etc/systemd/system/lab-chip.service",
    "lab-early.service": "/etc/systemd/system/lab-early.service",
    "lab-presser.service": "/etc/systemd/system/lab-presser.service",
    "board.conf": "/etc/systemd/system/appliance.service.d/lab-board.conf",
}
SETTINGS = ("initramfs", "offer", "finish")


class Image(Struct, frozen=True):
    """A disk that boots, and what it is booted with."""

    disk: Path
    kernel: Path
    initrd: Path
    name: str


def image() -> Image:
    """The image of today's recipe, built when it is not in the cache."""
    source = f"deb [signed-by={mirror.KEYRING}] {mirror.debian()} {SUITE} main"
    version = candidate(KERNEL, source, cache() / "apt")
    ours = [(GUEST / each).read_bytes() for each in (*FILES, *SETTINGS)]
    code = [Path(__file__).read_bytes(), Path(__file__).with_name("workshop.py").read_bytes()]
    name = key(SUITE, version, DISK, LGPIO_SHA256, *BASE, *OFFERED, *WORKSHOP, *ours, *code)
    place = kept("image", name)
    built = Image(place / "root.raw", place / "vmlinuz", place / "initrd.img", name)
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        _build(place, built, source, _made(source, version, code[1]))
        (place / "done").write_text(f"{SUITE}, {KERNEL} {version}\n")
    tell(f"image {name}: {SUITE}, {KERNEL} {version}")
    return built


def _made(source: str, version: str, code: bytes) -> Path:
    """The folder with the kernel module and lgpio, which change less often than what lies in the image."""
    place = kept("made", key(SUITE, version, LGPIO_SHA256, *WORKSHOP, code))
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        Workshop(place, source).build()
        (place / "done").touch()
    return place


def _build(place: Path, built: Image, source: str, made: Path) -> None:
    root, journal = place / "root", place / "build.log"
    hooks = [
        f'--essential-hook=sh {GUEST / "initramfs"} "$1"',
        f'--customize-hook=sh {GUEST / "offer"} "$1" {" ".join(OFFERED)}',
    ]
    command = ["mmdebstrap", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"', *hooks]
    do(
        "building: the guest's Debian, and the packages for the installers",
        [*command, f"--include={','.join(BASE)}", SUITE, str(root), source],
        journal,
    )
    _offer(root, made, journal)
    kernel = (made / "kernel").read_text()
    extra = root / "lib/modules" / kernel / "extra"
    if not extra.parent.is_dir():
        raise LookupError(f"the guest has another kernel than {kernel}, for which the module was built")
    extra.mkdir()
    shutil.copy(made / MODULE, extra / MODULE)
    for name, target in FILES.items():
        do(f"building: {target}", ["install", "-D", "-m", "644", str(GUEST / name), f"{root}{target}"], journal)
    shutil.copy(GUEST / "finish", root / "tmp/finish")
    do("building: settings of the guest", ["chroot", str(root), "sh", "/tmp/finish", kernel], journal)
    shutil.copy(root / f"boot/vmlinuz-{kernel}", built.kernel)
    shutil.copy(root / f"boot/initrd.img-{kernel}", built.initrd)
    do(
        "building: its file system",
        ["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(built.disk), DISK],
        journal,
    )
    shutil.rmtree(root)


def _offer(root: Path, made: Path, journal: Path) -> None:
    """A repository in the guest with every package that an installer may ask for, and all that those need."""
    debs = root / "srv/debs"
    shutil.copy(made / LGPIO_DEB, debs / LGPIO_DEB)
    tell("building: those packages without compression")
    packed = debs.rename(debs.with_name("packed"))
    debs.mkdir()
    for each in packed.glob("*.deb"):
        uncompressed(each, debs)
    shutil.rmtree(packed)
    with (debs / "Packages").open("wb") as index:
        subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=debs, stdout=index, stderr=subprocess.DEVNULL, check=True)
    for each in (root / "etc/apt").glob("sources.list*"):
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/debs ./\n")
    do("building: their index", ["chroot", str(root), "apt-get", "-qq", "update"], journal)
