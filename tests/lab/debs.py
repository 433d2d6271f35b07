"""Debian packages with the same files, uncompressed: what xz unpacks in a second takes the guest half a minute."""

import subprocess
from pathlib import Path

MEMBERS = (("control.tar", "--ctrl-tarfile"), ("data.tar", "--fsys-tarfile"))


def uncompressed(package: Path, place: Path) -> Path:
    """The same package with both of its archives as they are."""
    plain = place / package.name
    with plain.open("wb") as file:
        file.write(b"!<arch>\n" + member("debian-binary", b"2.0\n"))
        for name, option in MEMBERS:
            unpacked = subprocess.run(["dpkg-deb", option, str(package)], stdout=subprocess.PIPE, check=True).stdout
            file.write(member(name, unpacked))
    return plain


def member(name: str, content: bytes) -> bytes:
    """One file of an `ar` archive, as in deb(5)."""
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return head.encode() + content + b"\n" * (len(content) % 2)
