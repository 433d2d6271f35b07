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
NODE_RED_SQLITE = "node-red-node-sqlite@1"

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
    return _from_npm(NODE_RED, "node-red")


def node_red_with_sqlite() -> tuple[list[str], str] | None:
    """The same with the node that writes to SQLite."""
    return node_red() and _from_npm(NODE_RED_SQLITE, "node-red-node-sqlite") and node_red()


def _from_npm(wanted: str, package: str) -> tuple[list[str], str] | None:
    modules = cache() / "node-red" / "node_modules"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    if not (modules / package).exists():
        modules.parent.mkdir(exist_ok=True)
        print(f"installing {wanted} from npm, once …", file=sys.stderr)
        command = [
            npm,
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
            str(modules.parent),
            wanted,
        ]
        try:
            subprocess.run(command, check=True, timeout=240, stdin=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"npm did not install {wanted}: {error}", file=sys.stderr)
            return None
    version = json.loads((modules / "node-red" / "package.json").read_text())["version"]
    return [node, str(modules / "node-red" / "red.js")], f"Node-RED {version}"


HERE = {"z": "tab", "x": 100, "y": 100}
"""A node without a place on the sheet is taken for a setting."""


def node_red_home(place: Path, port: int, broker_port: int) -> Path:
    """A user directory with one flow: an exec node, as one reads keys with, into an mqtt out node with QoS 1."""
    once = {"once": True, "onceDelay": 0.1, "props": [{"p": "payload"}]}
    spawn = {"command": "sleep 600", "useSpawn": "true"}
    return _home(
        place,
        port,
        {"id": "broker", "type": "mqtt-broker", "broker": LOOPBACK, "port": str(broker_port), "clientid": "node-red"},
        {"id": "go", "type": "inject", **HERE, **once, "wires": [["exec"]]},
        {"id": "exec", "type": "exec", **HERE, **spawn, "wires": [["out"], [], []]},
        {"id": "out", "type": "mqtt out", **HERE, "topic": "node-red/key", "qos": "1", "broker": "broker"},
    )


def node_red_keeper(place: Path, port: int, broker_port: int, client: str, topics: str, database: Path) -> Path:
    """A user directory with one flow: an mqtt in node with a session that lasts, into a table of SQLite."""
    kept = {"mydb": "base", "sqlquery": "prepared", "sql": "INSERT OR IGNORE INTO facts VALUES ($id, $payload)"}
    session = {"clientid": client, "cleansession": False}
    named = "msg.params = {$id: msg.payload.id, $payload: JSON.stringify(msg.payload)}; return msg;"
    return _home(
        place,
        port,
        {"id": "broker", "type": "mqtt-broker", "broker": LOOPBACK, "port": str(broker_port), **session},
        {"id": "base", "type": "sqlitedb", "db": str(database), "mode": "RWC"},
        {"id": "in", "type": "mqtt in", **HERE, "topic": topics, "qos": "1", "datatype": "json", "broker": "broker",
         "inputs": 0, "wires": [["named"]]},
        {"id": "named", "type": "function", **HERE, "func": named, "outputs": 1, "wires": [["keep"]]},
        {"id": "keep", "type": "sqlite", **HERE, **kept, "wires": [[]]},
    )  # fmt: skip


def _home(place: Path, port: int, *nodes: dict[str, object]) -> Path:
    place.mkdir()
    settings = {"flowFile": "flows.json", "uiHost": LOOPBACK, "uiPort": port}
    (place / "settings.js").write_text("module.exports = " + json.dumps(settings) + ";\n")
    (place / "flows.json").write_text(json.dumps([{"id": "tab", "type": "tab", "label": "pad"}, *nodes]))
    return place
