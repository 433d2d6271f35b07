"""Speaks to the virtual machine itself: plugs, cuts cables, takes pictures of its screens (QEMU's machine protocol)."""

import json
import socket
from pathlib import Path
from typing import Any


class Refusal(Exception):
    """QEMU did not do what it was told."""


def tell(place: Path, command: str, **arguments: object) -> Any:
    """One command on a connection of its own, and its answer."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(place))
        file = link.makefile("rw")
        file.readline()
        for question in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
            file.write(json.dumps(question) + "\n")
            file.flush()
            answer = _answer(file)
        return answer


def wait_for(place: Path, event: str, within: float) -> dict[str, Any]:
    """The next event of that name; TimeoutError when none comes."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(within)
        link.connect(str(place))
        file = link.makefile("rw")
        file.readline()
        file.write('{"execute":"qmp_capabilities"}\n')
        file.flush()
        while line := file.readline():
            heard = json.loads(line)
            if heard.get("event") == event:
                return dict(heard)
    raise TimeoutError(f"QEMU ended before {event}")


def _answer(file: Any) -> Any:
    while line := file.readline():
        heard = json.loads(line)
        if "return" in heard:
            return heard["return"]
        if "error" in heard:
            raise Refusal(heard["error"]["desc"])
    raise Refusal("QEMU hung up")
