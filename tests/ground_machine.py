"""A whole machine for tests: systemd as PID 1 in a container, over the files of this machine, which stay as they are.

The files lie in an overlay in memory, in a mount namespace of its own; network, processes and cgroup are its own too.
When the process that holds it ends, nothing of it is left.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import until

ROOT = Path(__file__).parent.parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT = 30.0
"""Seconds; a start takes one."""
# Another Debian to run in, instead of this machine's: a root folder that holds the Python packages in /opt/packages.
OTHER_ROOT = os.environ.get("APPLIANCE_MACHINE_ROOT")

# 133 is how nspawn says that the machine inside wants to start again.
HOLD = r"""
set -eu
[ -z "$group" ] || echo $$ >"$group/cgroup.procs"
mount -t tmpfs -o mode=755 machine /mnt
mkdir /mnt/changed /mnt/work /mnt/root
mount -t overlay machine -o "lowerdir=$lower,upperdir=/mnt/changed,workdir=/mnt/work" /mnt/root
cd /mnt/root
# Nothing that this machine starts by itself, no archive, nothing of ours, and a name of its own.
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires etc/apt/sources.list etc/apt/sources.list.d
rm -rf opt/appliance etc/appliance var/lib/appliance* var/log/journal
: >etc/fstab
: >etc/machine-id
mkdir -p opt/packages opt/source
status=133
while [ "$status" = 133 ]; do
    status=0
    systemd-nspawn --quiet --directory=/mnt/root --boot --register=no --keep-unit --link-journal=no --console=pipe \
        --machine=window --private-network --bind-ro="$source:/opt/source" \
        ${packages:+--bind-ro="$packages:/opt/packages"} \
        --system-call-filter='bpf adjtimex clock_adjtime clock_adjtime64' --capability=CAP_BPF || status=$?
done
exit "$status"
"""

ASK = """
import sys, urllib.error, urllib.request
try:
    page = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=5)
except urllib.error.HTTPError as other:
    page = other
print(page.read().decode())
"""


class NoMachine(Exception):
    """This machine runs no container; the text says why."""


class Machine:
    """One machine, switched on."""

    def __init__(self, holder: "subprocess.Popen[bytes]", said: Path) -> None:
        self._holder, self._said = holder, said
        self._first: int | None = None
        self._booted()

    # ---- what is asked of it ------------------------------------------------------------------------------------

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """A command as root, in every namespace of the machine."""
        command = [
            "nsenter",
            "--target",
            str(self._first),
            "--all",
            "env",
            "-i",
            f"PATH={PATH}",
            "LANG=C.UTF-8",
            *words,
        ]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    def sh(self, text: str) -> str:
        """What a shell says; its last command must succeed, and each before it."""
        return self.run("sh", "-euc", text).stdout

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-euc", 'mkdir -p "${1%/*}"; printf %s "$2" >"$1"', "sh", path, text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        assert old in text, (path, old)
        self.write(path, text.replace(old, new))

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def is_active(self, unit: str) -> bool:
        return self.show(unit, "ActiveState") == "active"

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--quiet", "--boot", "--output=cat", "--unit", unit).stdout

    def page(self, address: str) -> str | None:
        """A page of a port of the machine, whatever its status is; None while nobody answers."""
        done = self.run("python3", "-c", ASK, f"http://127.0.0.1:{address}", check=False)
        return done.stdout if done.returncode == 0 else None

    def processes(self, unit: str) -> set[int]:
        """Everything that runs in the unit's cgroup."""
        group = self.show(unit, "ControlGroup")
        return {int(pid) for pid in self.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs", check=False).stdout.split()}

    def rights(self, path: str) -> str:
        """As `640 root mosquitto`."""
        return self.run("stat", "--format=%a %U %G", path).stdout.strip()

    def inside(self, unit: str, code: str) -> Any:
        """What Python prints as JSON in the sandbox of a unit: the unit as installed, but for the program it runs."""
        own = (
            r"^(Type|NotifyAccess|WatchdogSec|Restart|RestartSec|RestartPreventExitStatus|ExecStartPre|ExecStart)=.*\n"
        )
        text = re.sub(own, "", self.read(f"/etc/systemd/system/{unit}"), flags=re.MULTILINE)
        ours = (
            "[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -I /run/probe.py\nRuntimeDirectoryPreserve=yes\n"
            "StandardOutput=truncate:/run/probe.out\nStandardError=journal\n"
        )
        self.write("/run/probe.py", code)
        self.write("/run/systemd/system/probe.service", text.replace("[Service]\n", ours))
        self.sh(
            "systemctl daemon-reload; systemctl start probe.service || { journalctl -u probe --no-pager >&2; exit 1; }"
        )
        return json.loads(self.read("/run/probe.out"))

    # ---- on and off ---------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """As after a power cut: nothing is asked of anybody, and what is on the disk is all there is."""
        before = self._first
        self.run("systemctl", "reboot", "--force", "--force", check=False)
        until(lambda: not Path(f"/proc/{before}").exists(), BOOT, "it did not go down")
        self._booted()

    def _booted(self) -> None:
        until(self._is_up, BOOT, "it did not come up")

    def _is_up(self) -> bool:
        if self._holder.poll() is not None:
            raise NoMachine(self._said.read_text(encoding="utf-8", errors="replace")[-2000:])
        self._first = child(child(self._holder.pid))
        # Before it has come to its own namespaces it is still on this machine, and so would be what is run there.
        if self._first is None or not all(apart(self._first, kind) for kind in ("mnt", "pid", "net", "uts", "cgroup")):
            return False
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        return state in ("running", "degraded")


def apart(pid: int, kind: str) -> bool:
    """Whether a process has a namespace of its own."""
    try:
        return Path(f"/proc/{pid}/ns/{kind}").readlink() != Path(f"/proc/self/ns/{kind}").readlink()
    except OSError:
        return False


def child(pid: int | None) -> int | None:
    """The first child of a process."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(pids[0]) if pids else None


@contextmanager
def machine_on() -> Iterator[Machine]:
    """A machine with nothing of ours on it; NoMachine where a container cannot be."""
    missing = [tool for tool in ("unshare", "nsenter", "systemd-nspawn") if shutil.which(tool) is None]
    if missing or os.getuid() != 0:
        raise NoMachine(f"not found: {', '.join(missing)}" if missing else "the tests do not run as root")
    # The program in the machine runs on the system's Python, with the packages of the one that runs these tests.
    words = ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if not OTHER_ROOT and said.strip() != str(sys.version_info[:2]):
        raise NoMachine(f"/usr/bin/python3 is {said.strip()}, and the packages are for {sys.version_info[:2]}")
    with tempfile.TemporaryDirectory(prefix="machine-") as folder, own_cgroup() as group:
        log = Path(folder, "said")
        environment = {
            "PATH": PATH,
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "lower": OTHER_ROOT or "/",
            "source": str(ROOT),
            "packages": "" if OTHER_ROOT else str(Path(msgspec.__file__).parent.parent),
            "group": str(group or ""),
        }
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD]
        with log.open("wb") as out:
            holder = subprocess.Popen(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Machine(holder, log)
        finally:
            switch_off(holder)


def switch_off(holder: "subprocess.Popen[bytes]") -> None:
    """The shell first, which would start it again; nspawn's end takes the machine with it."""
    nspawn = child(holder.pid)
    first = child(nspawn)
    holder.kill()
    holder.wait()
    for pid in (nspawn, first):
        if pid is not None and Path(f"/proc/{pid}").exists():
            os.kill(pid, 9)
    until(lambda: not any(pid and Path(f"/proc/{pid}").exists() for pid in (nspawn, first)), BOOT, "it did not go off")


@contextmanager
def own_cgroup() -> Iterator[Path | None]:
    """A cgroup for one machine, so that two of them do not meet; None where there is no right to make one."""
    place = cgroup_here()
    if place is not None:
        place = place / f"appliance-test-{os.getpid()}"
        try:
            place.mkdir()
        except OSError:
            place = None
    yield place
    if place is not None:
        for folder in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        place.rmdir()


def cgroup_here() -> Path | None:
    mounts = re.findall(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", Path("/proc/self/mountinfo").read_text(), re.MULTILINE)
    own = re.findall(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    return Path(mounts[0], own[0]) if mounts and own else None


def unless_there_is_none(trouble: NoMachine) -> None:
    """Where no container can be: in CI that is a failure, and elsewhere it is told loudly."""
    sentence = f"the units were NOT tried under systemd as PID 1, because this machine runs no container: {trouble}"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    warnings.warn(sentence, stacklevel=2)
    pytest.skip(sentence)
