"""A machine with an installed window, as far as a doctor looks: folders of a test in place of /etc, /opt, /var/lib."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
USER = "appliance:x:64123:64123::/var/lib/appliance:/usr/sbin/nologin\n"
GROUPS = "appliance:x:64123:\ndialout-of-test:x:64124:\n"

# Seen from within, the source tree lies where everybody may read it, whatever the folders above it allow.
ENTER = """
set -e
mount --bind "$PLACE/etc" /etc
mount -t tmpfs none /opt
mkdir /opt/source /opt/packages /opt/python
mount --bind "$PYTHON" /opt/python
mount --bind "$SOURCE" /opt/source
mount --bind "$PACKAGES" /opt/packages
mount -t tmpfs none /var/lib
mount --bind "$PLACE/state" "$(mkdir -p /var/lib/appliance && echo /var/lib/appliance)"
cd "$FROM"
exec "$@"
"""


class InstalledWindow:
    """`/etc` with the shipped settings and the service's user, as `make install` leaves it; entered as root."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.chmod(0o755)
        self.state = place / "state"
        self.settings = place / "etc/appliance/window.toml"
        self.key = place / "etc/appliance/tls/window.key"
        self._make_etc()
        self._make_settings()

    def _make_etc(self) -> None:
        etc = self.place / "etc"
        for folder in ("appliance/tls", "tmpfiles.d", "systemd/system"):
            (etc / folder).mkdir(parents=True)
        for name in ("hosts", "nsswitch.conf", "resolv.conf", "ld.so.cache", "localtime"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc / name)
        for name in ("ssl", "fonts"):
            if Path("/etc", name).exists():
                shutil.copytree(Path("/etc", name), etc / name, symlinks=True, ignore=shutil.ignore_patterns("private"))
        (etc / "passwd").write_text(Path("/etc/passwd").read_text(encoding="utf-8") + USER, encoding="utf-8")
        (etc / "group").write_text(Path("/etc/group").read_text(encoding="utf-8") + GROUPS, encoding="utf-8")
        for source, target in (
            ("firmware_config/os/tmpfiles.conf", "tmpfiles.d/appliance.conf"),
            ("systemd/appliance.service", "systemd/system/appliance.service"),
        ):
            shutil.copy(ROOT / source, etc / target)

    def _make_settings(self) -> None:
        """As the README's steps leave them, but for a key that was copied as it was: root's alone."""
        certificates = [str(ROOT / "firmware_config/county/certificates"), "-d", str(self.place / "authority")]
        for words in (["authority", "岳阳楼区医疗保障局"], ["sign", "430602-0107-1"]):
            subprocess.run([*certificates, *words], check=True, capture_output=True)
        shutil.copytree(self.place / "authority/out/430602-0107-1", self.key.parent, dirs_exist_ok=True)
        text = (ROOT / "firmware_config/window.toml").read_text(encoding="utf-8")
        for name in ("ca_file", "cert_file", "key_file"):
            text = text.replace(f"#{name} =", f"{name} =")
        self.write(text.replace('"mqtt.example.cn"', '"127.0.0.1"'))
        self.key.chmod(0o600)
        self.state.mkdir()
        self.sudo("chown", "64123:64123", str(self.state))

    def write(self, text: str) -> None:
        """Other settings; an editor run by root leaves them root's."""
        self.settings.write_text(text, encoding="utf-8")
        self.settings.chmod(0o600)

    def printer(self, major: int, mode: int, group: int = 0) -> None:
        """The printer is this node."""
        node = self.place / "printer"
        self.sudo("mknod", str(node), "c", str(major), "3")
        self.sudo("chown", f"0:{group}", str(node))
        self.sudo("chmod", f"{mode:o}", str(node))
        text = self.settings.read_text(encoding="utf-8").replace('kind = "none"\n# 打印机', 'kind = "serial"\n# 打印机')
        self.write(text.replace('"/dev/appliance-printer"', f'"{node}"'))

    def doctor(self, *words: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """The doctor, run by root or by somebody else, from a folder that only root may enter."""
        python = [f"/opt/python/bin/{Path(sys.executable).resolve().name}", "-m", "appliance", "doctor", *words]
        home = self.place / "home-of-root"
        home.mkdir(mode=0o700, exist_ok=True)
        given = {"PLACE": self.place, "SOURCE": ROOT, "PACKAGES": packages(), "PYTHON": sys.base_prefix}
        environment = [f"{name}={value}" for name, value in given.items()]
        environment += [f"FROM={'/' if user else home}", "PYTHONPATH=/opt/source:/opt/packages"]
        # A Python of its own with a libpython finds it by a path that only its owner may go.
        environment += ["LD_LIBRARY_PATH=/opt/python/lib"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh"]
        return self.sudo("env", *environment, "PYTHONDONTWRITEBYTECODE=1", *enter, *become, *python, check=False)

    @staticmethod
    def sudo(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As root, which these tests need as `make test` does for its packages."""
        rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return subprocess.run([*rights, *words], capture_output=True, text=True, check=check)


def packages() -> Path:
    """The folder that the packages of this interpreter lie in."""
    return Path(msgspec.__file__).parent.parent
