"""Looks with the eyes of the service: root becomes the window's user, after rights were mended as at a start.

Rules: only for the settings of an installed window, and only where that user exists. What then cannot be read or opened
cannot be by the service either; and nothing that is looked at is left behind as root's.
"""

import grp
import os
import pwd
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec


class Installed(msgspec.Struct, frozen=True):
    """Where `make install` puts things, and whom the service runs as."""

    user: str = "appliance"
    folder: Path = Path("/etc/appliance")
    tmpfiles: Path = Path("/etc/tmpfiles.d/appliance.conf")
    unit: Path = Path("/etc/systemd/system/appliance.service")

    def owns(self, settings: Path) -> bool:
        """Whether these are the settings of an installed window."""
        return settings.absolute().parent == self.folder and self._entry() is not None

    def _entry(self) -> pwd.struct_passwd | None:
        with suppress(KeyError):
            return pwd.getpwnam(self.user)
        return None

    def become(self, settings: Path) -> Iterator[str]:
        """Become the service's user where that makes sense; yields what a person should know, a sentence each."""
        entry = self._entry()
        if entry is None or not self.owns(settings) or os.geteuid() == entry.pw_uid:
            return
        if os.geteuid() != 0:
            yield f"现在的用户是 {_user_name(os.geteuid())}，不一定能像服务那样读写；请用 sudo appliance doctor 检查。"
            return
        yield from self._mend()
        if hidden := _hidden():
            yield f"用户 {entry.pw_name} 读不到 {hidden}，只能以 root 检查；请用安装好的 sudo appliance doctor。"
            return
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ["HOME"] = entry.pw_dir
        yield f"以服务的用户 {entry.pw_name} 检查。"

    def _mend(self) -> Iterator[str]:
        """What the unit itself does as root (`+`) before each start."""
        starts = re.findall(r"^ExecStartPre=[-@:!]*\+[-@:!]*(.+)$", self._unit_text(), flags=re.MULTILINE)
        if not starts and self.tmpfiles.exists():
            starts = [f"systemd-tmpfiles --create {self.tmpfiles}"]
        for start in filter(_concerns_something, starts):
            try:
                done = subprocess.run(shlex.split(start), capture_output=True, encoding="utf-8", check=False)
            except (OSError, ValueError) as error:
                yield f"没有执行 {start}（{error}）。"
                continue
            if done.returncode:
                yield f"{start} 没有全部完成：{done.stderr.strip() or done.returncode}"

    def _unit_text(self) -> str:
        texts = []
        for file in (self.unit, *sorted(self.unit.with_name(f"{self.unit.name}.d").glob("*.conf"))):
            with suppress(OSError, UnicodeDecodeError):
                texts.append(file.read_text(encoding="utf-8"))
        return "\n".join(texts)

    def forbids(self, node: Path) -> str:
        """Why this process or the service's sandbox may not use a device that is there; empty when nothing does."""
        try:
            found = node.stat()
        except OSError:
            return ""
        if not os.access(node, os.R_OK | os.W_OK):
            return _no_right(node, found)
        return self._outside(node, found) if stat.S_ISCHR(found.st_mode) else ""

    def _outside(self, node: Path, found: os.stat_result) -> str:
        """The unit names classes of devices, as /proc/devices does, or a major number."""
        allowed = re.findall(r"^DeviceAllow=char-(\S+)", self._unit_text(), flags=re.MULTILINE)
        classes = Path("/proc/devices").read_text(encoding="ascii")
        major = os.major(found.st_rdev)
        names = {str(major), *re.findall(rf"^ *{major} (\S+)$", classes.split("\nBlock")[0], flags=re.MULTILINE)}
        if not allowed or any(fnmatchcase(name, pattern) for pattern in allowed for name in names):
            return ""
        kind = "、".join(sorted(names))
        return f"{node} 属于 {kind} 类设备，appliance.service 的 DeviceAllow 里没有这一类，服务打不开它"


def _concerns_something(start: str) -> bool:
    """Whether the last thing that a command names is there; before the first start the state folder is not."""
    last = Path((start.split() or [""])[-1])
    return not last.is_absolute() or last.exists()


def _no_right(node: Path, found: os.stat_result) -> str:
    group, mode, user = _group_name(found.st_gid), stat.S_IMODE(found.st_mode), _user_name(os.geteuid())
    if mode & 0o060 == 0o060 and found.st_gid not in {os.getegid(), *os.getgroups()}:
        return f"{node} 只给 {group} 组用，而用户 {user} 不在这个组里"
    return f"{node} 属于 {_user_name(found.st_uid)}:{group}，权限是 {mode:04o}，用户 {user} 不能读写它"


def _hidden() -> Path | None:
    """Where the program or its Python lies in a folder that is not everybody's, as a source tree in /root does."""
    for folder in (Path(__file__).resolve().parent, Path(sys.prefix), Path(sys.base_prefix)):
        if not all(place.stat().st_mode & 0o005 == 0o005 for place in (folder, *folder.parents)):
            return folder
    return None


def _user_name(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group_name(number: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)
