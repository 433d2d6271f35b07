"""The county's broker as `make install-county` leaves it, on free ports and in a folder of the test's own."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import until
from tests.ground_courier.waiting import free_port

FIRMWARE = Path(__file__).parent.parent / "firmware_config"
INSTALL = FIRMWARE / "install"
CERTIFICATES = FIRMWARE / "county" / "certificates"
PATIENCE = 10.0
# Debian's own file, which includes ours.
DEBIAN = """\
user {user}
persistence true
persistence_location {place}/
log_dest file {place}/mosquitto.log
include_dir {place}/etc/mosquitto/conf.d
"""
# Who watches what the broker really carries; on loopback, without rules, and only in these tests.
OBSERVER = "listener {port} 127.0.0.1\nallow_anonymous true\n"


def make_authority(folder: Path, *names: str) -> Path:
    """The county's certificates, made by the script that ships: the broker's, and one for each name."""
    for words in (
        ["authority", "岳阳楼区医疗保障局"],
        ["broker", "localhost", "127.0.0.1"],
        *(["sign", it] for it in names),
    ):
        subprocess.run([CERTIFICATES, "-d", folder, *words], check=True, capture_output=True)
    return folder


class Broker:
    """A mosquitto with the shipped files; only ports and folders are put in place of the shipped ones."""

    def __init__(self, place: Path, authority: Path, names: Sequence[str] = ()) -> None:
        self.place = place
        self.authority = authority
        self.pid = 0
        self._names = names
        self.certificate_port, self.password_port, self.observer_port = free_port(), free_port(), free_port()

    def write(self) -> None:
        """What `make install-county` puts there, and beside it what a technician does."""
        subprocess.run([INSTALL, "county", "files"], check=True, capture_output=True, env={"DESTDIR": str(self.place)})
        self._put("10-appliance.conf", "listener 8883", self.certificate_port)
        # The first days: the .off is taken away.
        conf = self.place / "etc/mosquitto/conf.d"
        (conf / "20-appliance-passwords.conf.off").rename(conf / "20-appliance-passwords.conf")
        self._put("20-appliance-passwords.conf", "listener 8884", self.password_port)
        shutil.copytree(self.authority, self.place / "etc/mosquitto/certs")
        (self.place / "mosquitto.conf").write_text(DEBIAN.format(user=getpass.getuser(), place=self.place))
        (conf / "90-observer.conf").write_text(OBSERVER.format(port=self.observer_port))
        passwords = self.place / "etc/mosquitto/appliance.passwd"
        passwords.touch(mode=0o600)
        for name in self._names:
            words = ["mosquitto_passwd", "-b", str(passwords), name, f"of {name}"]
            subprocess.run(words, check=True, capture_output=True)

    def _put(self, name: str, listener: str, port: int) -> None:
        """Ports that are free and folders of this test, in place of the shipped ones."""
        file = self.place / "etc/mosquitto/conf.d" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(f"\n{listener}\n") == 1
        text = text.replace(f"\n{listener}\n", f"\nlistener {port} 127.0.0.1\n")
        assert " /etc/mosquitto/certs/" in text
        file.write_text(text.replace(" /etc/mosquitto/", f" {self.place}/etc/mosquitto/"), encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[None]:
        broker = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert broker, "the Debian package mosquitto is needed"
        with subprocess.Popen([broker, "-c", self.place / "mosquitto.conf"]) as process:
            self.pid = process.pid
            try:
                until(lambda: self._listens(process), PATIENCE, "mosquitto's ports")
                yield
            finally:
                process.terminate()

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, "mosquitto did not start; what it said stands above"
        for port in (self.certificate_port, self.password_port, self.observer_port):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return False
        return True
