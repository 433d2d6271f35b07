"""Finds the Debian mirror that this machine already uses, in either of apt's two dialects: the lab names none."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

APT = Path("/etc/apt")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Source(Struct, frozen=True):
    """One archive of one suite, as apt's configuration names it."""

    address: str
    suite: str
    components: tuple[str, ...]


def debian(apt: Path = APT, codename: str = "") -> str:
    """The address of Debian's main archive on this machine; LookupError when apt knows none."""
    codename = codename or _codename()
    for source in configured(apt):
        if source.suite in (codename, "stable") and "main" in source.components:
            return _resolved(source.address)
    raise LookupError(f"no archive of {codename} main in {apt}/sources.list and {apt}/sources.list.d")


def configured(apt: Path) -> list[Source]:
    """Every binary archive in the files that apt reads."""
    found: list[Source] = []
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if file.suffix == ".list" and file.is_file():
            found += one_line(file.read_text())
        elif file.suffix == ".sources":
            found += deb822(file.read_text())
    return found


def one_line(text: str) -> list[Source]:
    """`deb [options] address suite component…`, one archive a line."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            found.append(Source(words[1], words[2], tuple(words[3:])))
    return found


def deb822(text: str) -> list[Source]:
    """Stanzas of `Field: values`, as in debian.sources; a value goes on in indented lines."""
    found: list[Source] = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields: dict[str, list[str]] = {}
        name = ""
        for line in lines:
            if line[:1].isspace():
                fields.setdefault(name, []).extend(line.split())
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.split()
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"]) == ["no"]:
            continue
        components = tuple(fields.get("components", []))
        found += [
            Source(uri, suite, components) for uri in fields.get("uris", []) for suite in fields.get("suites", [])
        ]
    return found


def _resolved(address: str) -> str:
    """Cloud images name a file that lists mirrors; its first line is one."""
    parts = urlsplit(address)
    if parts.scheme.startswith("mirror+file"):
        return Path(parts.path).read_text().split()[0]
    return address


def _codename() -> str:
    release = Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)[1]  # type: ignore[index]
