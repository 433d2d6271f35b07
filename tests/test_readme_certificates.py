"""The certificate steps of the README, word for word: all is readable for who needs it, no key for others.

Only places are put in place of places, and a group of this machine in place of one that `make install` makes.
"""

import grp
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.settings import load_county, load_window

ROOT = Path(__file__).parent.parent
README = ROOT / "firmware_config/README.md"
WINDOW = "430602-0107-1"


def section(title: str) -> list[list[str]]:
    """The commands of each block under a heading, in their order."""
    text = README.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [
        block.strip().splitlines() for block in re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    ]


class Machine:
    """A machine on which both ends are installed, as far as these steps go."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for target in ("install", "install-county"):
            words = ["make", target, f"DESTDIR={place}", "PIP=true", f"SYSTEM_PYTHON={sys.executable}"]
            subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
        (place / "root").mkdir()
        # From mosquitto's package, and from `systemd-tmpfiles` at the end of `make install`.
        for folder in ("etc/mosquitto/certs", "etc/appliance/tls"):
            (place / folder).mkdir()

    def does(self, line: str, at: Path) -> str:
        """One line as it stands, but in this machine's places; what starts a service is left to systemd's own tests."""
        words = [word for word in shlex.split(line, comments=True) if word != "sudo"]
        if words[0] in {"systemctl", "appliance", "nano"}:
            return ""
        if words[0] == "mosquitto_passwd":
            words = [words[0], "-b", *words[1:], "a password that nobody types here"]
        if "-g" in words:
            words[words.index("-g") + 1] = self.group()
        words = [re.sub(r"^/(?=(etc|opt|root)/)", f"{self.place}/", word) for word in words]
        done = subprocess.run(words, cwd=at, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    @staticmethod
    def group() -> str:
        return grp.getgrgid(os.getgid()).gr_name


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Every block has been gone through: authority, county, the window's stick, and a window that was revoked."""
    machine = Machine(tmp_path_factory.mktemp("machine"))
    stick = machine.place / "root/authority/out" / WINDOW
    for block in (*section("Certificates"), *section("The first days")):
        for line in block:
            machine.does(line, stick if {"window.key", "ca.crt"} & set(" ".join(block).split()) else ROOT)
    return machine


def test_passwords_are_for_their_group_alone_and_the_broker_reads_its_second_file(machine: Machine) -> None:
    for name in ("etc/mosquitto/appliance.passwd", "etc/appliance/broker.password"):
        assert stat.S_IMODE((machine.place / name).stat().st_mode) == 0o640
    assert (machine.place / "etc/mosquitto/appliance.passwd").read_text(encoding="utf-8").startswith(f"{WINDOW}:$")
    assert {file.name for file in (machine.place / "etc/mosquitto/conf.d").iterdir()} == {
        "10-appliance.conf",
        "20-appliance-passwords.conf",
    }


def test_certificates_are_for_everybody_and_keys_for_their_group_alone(machine: Machine) -> None:
    modes = {
        str(file.relative_to(machine.place)): stat.S_IMODE(file.stat().st_mode)
        for folder in ("etc/mosquitto/certs", "etc/appliance/tls")
        for file in (machine.place / folder).iterdir()
    }
    assert modes == {
        "etc/mosquitto/certs/ca.crt": 0o644,
        "etc/mosquitto/certs/broker.crt": 0o644,
        "etc/mosquitto/certs/broker.key": 0o640,
        "etc/mosquitto/certs/ca.crl": 0o644,
        "etc/appliance/tls/ca.crt": 0o644,
        "etc/appliance/tls/county.crt": 0o644,
        "etc/appliance/tls/county.key": 0o640,
        "etc/appliance/tls/window.crt": 0o644,
        "etc/appliance/tls/window.key": 0o640,
    }


@pytest.mark.parametrize("load", [load_county, load_window])
def test_the_settings_name_the_files_that_were_put_there(machine: Machine, load: type, tmp_path: Path) -> None:
    name = "county" if load is load_county else "window"
    text = (machine.place / f"etc/appliance/{name}.toml").read_text(encoding="utf-8")
    assert f'\ncert_file = "/etc/appliance/tls/{name}.crt"\n' in text
    settings = tmp_path / f"{name}.toml"
    settings.write_text(text.replace('"/etc/', f'"{machine.place}/etc/'), encoding="utf-8")
    broker = load(settings).broker
    assert (broker.ca_file.name, broker.cert_file.name, broker.key_file.name) == (
        "ca.crt",
        f"{name}.crt",
        f"{name}.key",
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_authority_keeps_its_keys_to_itself_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "authority"
    script = ROOT / "firmware_config/county/certificates"
    words = (
        ["authority", "岳阳楼区医疗保障局"],
        ["broker", "a.cn"],
        ["pages", "b.cn"],
        ["sign", WINDOW],
        ["revoke", WINDOW],
    )
    for each in words:
        subprocess.run([script, "-d", folder, *each], check=True, capture_output=True, umask=umask)
    files = [file for file in folder.rglob("*") if file.is_file()]
    keys = [file for file in files if file.suffix == ".key"]
    public = [file for file in files if file.suffix in {".crt", ".crl"}]
    assert len(keys) == 4 + 3
    assert len(public) == 5 + 6
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys} == {0o600}
    assert {stat.S_IMODE(file.stat().st_mode) for file in public} == {0o644}
    assert {file.name for file in (folder / "out" / WINDOW).iterdir()} == {"ca.crt", "window.crt", "window.key"}


def certificates(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "firmware_config/county/certificates"
    return subprocess.run([script, "-d", folder, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["岳阳县/平江县", "a+b=c", "q\\w", "医保 局"])
def test_an_authority_has_whatever_name_the_county_has(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a place"
    assert certificates(folder, "authority", name).returncode == 0
    words = ["openssl", "x509", "-in", str(folder / "ca.crt"), "-noout", "-subject", "-nameopt", "utf8"]
    assert name in subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_an_authority_that_could_not_be_made_says_why_and_stands_in_nobody_s_way(tmp_path: Path) -> None:
    done = certificates(tmp_path, "authority", "")
    assert done.returncode == 1
    assert "签发失败" in done.stderr
    assert certificates(tmp_path, "authority", "岳阳楼区医疗保障局").returncode == 0


@pytest.mark.parametrize(
    "words", [["sign", ""], ["sign", "-x"], ["sign", "A/B"], ["broker", ""], ["broker", "a b"], ["broker", "1.2.3"]]
)
def test_a_name_that_cannot_be_is_refused_with_a_sentence_and_changes_nothing(tmp_path: Path, words: list[str]) -> None:
    for each in (["authority", "岳阳楼区医疗保障局"], ["broker", "a.cn"]):
        assert certificates(tmp_path, *each).returncode == 0
    before = {file: file.read_bytes() for file in tmp_path.glob("*.[ck]*")}
    done = certificates(tmp_path, *words)
    assert done.returncode == 1
    assert done.stderr.strip()
    assert {file: file.read_bytes() for file in tmp_path.glob("*.[ck]*")} == before


def test_the_broker_s_certificate_is_also_good_for_the_county_on_the_same_machine(machine: Machine) -> None:
    """county.toml says 127.0.0.1, and nobody typed that at `certificates broker`."""
    for name in ("mqtt.example.cn", "localhost"):
        assert "does match" in checked(machine, "-checkhost", name)
    assert "does match" in checked(machine, "-checkip", "127.0.0.1")
    assert "does NOT match" in checked(machine, "-checkhost", "elsewhere.example.cn")


def checked(machine: Machine, what: str, name: str) -> str:
    certificate = str(machine.place / "etc/mosquitto/certs/broker.crt")
    words = ["openssl", "x509", "-in", certificate, "-noout", what, name]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
