"""What the demo runs: which ports, which windows, and the settings that are written for each. Pure."""

import json
from dataclasses import dataclass
from pathlib import Path

from appliance.demo import phrases

COUNTY = "430602"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """One port for each part; all on loopback."""

    county: int = 8000
    first: int = 8101
    second: int = 8102
    broker: int = 18830

    @classmethod
    def from_base(cls, base: int) -> "Ports":
        """Four ports in a row, for whoever has the usual ones in use."""
        return cls(county=base, first=base + 1, second=base + 2, broker=base + 3)

    def named(self) -> list[tuple[int, str]]:
        """Each port with the name of the part that listens there."""
        first, second = phrases.WINDOWS
        return [
            (self.county, phrases.COUNTY),
            (self.first, first),
            (self.second, second),
            (self.broker, phrases.BROKER),
        ]


@dataclass(frozen=True)
class Window:
    """One of the demo's windows, as its `window.toml` tells it."""

    name: str
    site: str
    level: str
    place: str
    office: str
    clerks: tuple[tuple[str, str], ...]
    port: int

    @property
    def station(self) -> str:
        return self.place + self.office


def windows(ports: Ports) -> tuple[Window, Window]:
    """A township's window with two clerks and a village's with one."""
    first, second = phrases.WINDOWS
    township = Window(
        first, "0107", "township", "梅溪乡", "医疗保障服务站", (("0107", "王敏"), ("0112", "李建国")), ports.first
    )
    village = Window(second, "0231", "village", "梅溪乡柳树村", "医疗保障服务点", (("0231", "陈秀英"),), ports.second)
    return township, village


def window_toml(window: Window, ports: Ports, state: Path) -> str:
    """The text of a `window.toml` with mock pins, the bench's printer, and everything of its own under `state`."""
    clerks = "".join(
        f"\n[[clerks]]\nnumber = {_text(number)}\nname = {_text(name)}\n" for number, name in window.clerks
    )
    return f"""\
[window]
id = {_text(f"{COUNTY}-{window.site}-1")}
label = {_text(window.name)}

[station]
level = {_text(window.level)}
place = {_text(window.place)}
telephone = "0730-8123456"
{clerks}
[ledger]
path = {_text(str(state / f"window-{window.site}.db"))}

[broker]
host = "{LOOPBACK}"
port = {ports.broker}

[panel]
listen = "{LOOPBACK}"
port = {window.port}

[pad]
factory = "mock"

[printer]
kind = "bench"

# A desktop machine has a clock with a battery: the demo asks nobody which day it is.
[clock]
source = "battery"

[bench]
enabled = true
"""


def county_toml(shown: tuple[Window, ...], ports: Ports, state: Path) -> str:
    """The text of a `county.toml` with its book under `state`."""
    stations = "".join(f"{_text(window.site)} = {_text(window.station)}\n" for window in shown)
    return f"""\
[county]
code = "{COUNTY}"
name = "岳阳楼区"

[book]
url = {_text(f"sqlite:///{state / 'county.db'}")}

[broker]
host = "{LOOPBACK}"
port = {ports.broker}

[office]
listen = "{LOOPBACK}"
port = {ports.county}

[stations]
{stations}"""


def addresses(ports: Ports) -> list[tuple[str, str]]:
    """What the person at the terminal is told, one line each: the name and the address."""
    lines = [(phrases.WALL, f"http://{LOOPBACK}:{ports.county}/")]
    for window in windows(ports):
        site = f"http://{LOOPBACK}:{window.port}"
        lines.append((f"{window.name} {phrases.PANEL}", f"{site}/"))
        lines.append((f"{window.name} {phrases.DISPLAY}", f"{site}/display"))
        lines.append((f"{window.name} {phrases.BENCH}", f"{site}/bench"))
    lines.append((phrases.BROKER, f"mqtt://{LOOPBACK}:{ports.broker}"))
    return lines


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False)
