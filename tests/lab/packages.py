"""Installs the Debian packages that the lab itself needs, the way the tests' packages are installed."""

import subprocess
import sys

from tests.lab.places import ROOT
from tests.lab.progress import tell
from tests.lab.recipe import HOST_PACKAGES


def install_packages() -> None:
    """Install what is missing; an exit with its name when that fails."""
    missing = [each for each in HOST_PACKAGES if not _installed(each)]
    if not missing:
        return
    tell(f"installing Debian packages: {' '.join(missing)}")
    command = ["sh", "-euc", '. .ci/asroot; apt_install "$@"', "sh", *missing]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit(f"could not install: {' '.join(missing)}")


def _installed(package: str) -> bool:
    asked = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "installed"
