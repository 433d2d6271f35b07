"""A small Debian archive and a machine that installs from it: apt and dpkg are the real ones, on folders of a test."""

import hashlib
import os
import subprocess
from pathlib import Path

CONFIG = """\
Dir "{place}";
Dir::State::status "{place}/dpkg/status";
Dir::Bin::Methods "/usr/lib/apt/methods";
Dir::Bin::dpkg "{place}/bin/dpkg";
APT::Architecture "all";
APT::Architectures {{ "all"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "0";
"""


class Archive:
    """What a Debian mirror is to apt: packages and a list of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self.offers()

    def offers(self, *names: str, broken: str = "") -> None:
        """From now on it has these packages and no others; what `broken` depends on it has not."""
        stanzas = [self._build(name, "missing (>= 9)" if name == broken else "") for name in names]
        (self.place / "Packages").write_text("\n".join(stanzas), encoding="utf-8")

    def _build(self, name: str, depends: str) -> str:
        tree = self.place / "tree" / name
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "usr/share" / name).mkdir(parents=True, exist_ok=True)
        control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.cn>\n"
        control += f"Depends: {depends}\n" if depends else ""
        (tree / "DEBIAN/control").write_text(f"{control}Description: a package of a test\n", encoding="utf-8")
        file = self.place / f"{name}_1_all.deb"
        words = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(file)]
        subprocess.run(words, check=True, capture_output=True)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        where = f"Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n"
        return f"{control}{where}Description: a package of a test\n"


class Machine:
    """A machine whose apt and dpkg work on folders of their own, and know of that one archive."""

    def __init__(self, place: Path, archive: Archive) -> None:
        self.place = place
        folders = ("bin", "dpkg/info", "dpkg/updates", "root", "etc/apt/apt.conf.d", "etc/apt/preferences.d")
        more = ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt")
        for folder in (*folders, *more):
            (place / folder).mkdir(parents=True)
        (place / "dpkg/status").touch()
        self.config = place / "apt.conf"
        self.config.write_text(CONFIG.format(place=place), encoding="utf-8")
        dpkg = f"dpkg --force-not-root --force-script-chrootless --root={place}/root --admindir={place}/dpkg"
        self._script("dpkg", f'exec /usr/bin/{dpkg} --log={place}/dpkg/log "$@"')
        # `make install` asks whether it is root; for what it does here nobody has to be.
        self._script("id", "echo 0")
        self.knows(f"file:{archive.place}")

    def _script(self, name: str, line: str) -> None:
        file = self.place / "bin" / name
        file.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        file.chmod(0o755)

    def knows(self, address: str) -> None:
        """Where its archive is."""
        sources = self.place / "etc/apt/sources.list"
        sources.write_text(f"deb [trusted=yes] {address} ./\n", encoding="utf-8")

    def run(self, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of ours on this machine."""
        environment = {
            "PATH": f"{self.place}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "APT_CONFIG": str(self.config),
            "DPKG_ADMINDIR": str(self.place / "dpkg"),
            "HOME": os.environ.get("HOME", "/"),
            **more,
        }
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    def installed(self) -> set[str]:
        """The packages that dpkg says are installed."""
        said = self.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").stdout
        return {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
