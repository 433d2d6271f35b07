"""The peers that stand beside us: mqtt-io from PyPI, and Node-RED from npm where npm is there."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tests.bench.ground import LOOPBACK, cache
from tests.bench.wiring import KEYS

NODE_RED = "node-red@4"
"""The newest line that runs on the Node.js of Debian 13 and of Raspberry Pi OS."""

MOCK_PINS = {"GPIOZERO_PIN_FACTORY": "mock"}


def mqtt_io_version() -> str:
    """Which mqtt-io is here; raises with what to do when none is."""
    if find_spec("mqtt_io") is None:
        raise PackageNotFoundError("mqtt-io is not installed: run `make bench`, which installs it")
    return f"mqtt-io {version('mqtt-io')}"


def mqtt_io_settings(place: Path, port: int, *, interrupts: bool) -> Path:
    """The five keys on mqtt-io's own gpiozero module, watched by interrupts or by its default polling."""
    name = "interrupts" if interrupts else "polling"
    watched = {"interrupt": "rising"} if interrupts else {}
    settings = {
        "mqtt": {"host": LOOPBACK, "port": port, "topic_prefix": name, "client_id": f"mqtt-io-{name}"},
        "gpio_modules": [{"name": "pad", "module": "gpiozero"}],
        "digital_inputs": [
            {"name": f"key{pin}", "module": "pad", "pin": pin, "pullup": True, **watched} for pin in KEYS
        ],
    }
    file = place / f"mqtt-io-{name}.yml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    return file


def node_red() -> tuple[list[str], str] | None:
    """The command that runs Node-RED, and which it is; installed by npm at the first call, None where that fails."""
    home = cache() / "node-red"
    start = home / "node_modules" / "node-red" / "red.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    if not start.exists():
        home.mkdir(exist_ok=True)
        print(f"installing {NODE_RED} from npm, once …", file=sys.stderr)
        command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(home), NODE_RED]
        try:
            subprocess.run(command, check=True, timeout=240, stdin=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"npm did not install {NODE_RED}: {error}", file=sys.stderr)
            return None
    package = json.loads((start.parent / "package.json").read_text())
    return [node, str(start)], f"Node-RED {package['version']}"


def node_red_home(place: Path, port: int, broker_port: int) -> Path:
    """A user directory with one flow: an exec node, as one reads keys with, into an mqtt out node with QoS 1."""
    place.mkdir()
    (place / "settings.js").write_text(
        "module.exports = " + json.dumps({"flowFile": "flows.json", "uiHost": LOOPBACK, "uiPort": port}) + ";\n"
    )
    here = {"z": "tab", "x": 100, "y": 100}  # a node without a place on the sheet is taken for a setting
    flows: list[dict[str, object]] = [
        {"id": "tab", "type": "tab", "label": "pad"},
        {"id": "broker", "type": "mqtt-broker", "broker": LOOPBACK, "port": str(broker_port), "clientid": "node-red"},
        {
            "id": "go",
            "type": "inject",
            **here,
            "once": True,
            "onceDelay": 0.1,
            "props": [{"p": "payload"}],
            "wires": [["exec"]],
        },
        {
            "id": "exec",
            "type": "exec",
            **here,
            "command": "sleep 600",
            "useSpawn": "true",
            "wires": [["out"], [], []],
        },
        {"id": "out", "type": "mqtt out", **here, "topic": "node-red/key", "qos": "1", "broker": "broker"},
    ]
    (place / "flows.json").write_text(json.dumps(flows))
    return place
