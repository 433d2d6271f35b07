"""The settings of one window: `window.toml`, its sections, their defaults, and the rules between them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.settings import phrases
from appliance.settings.reading import SettingsWrong, read
from appliance.settings.shared import (
    Address,
    Broker,
    File,
    Host,
    ListenPort,
    Port,
    ShortText,
    check_address,
    check_broker,
    text,
)

Telephone = Annotated[str, text(r"(?=[0-9-]{3,20})[0-9]+(-[0-9]+)*", phrases.TELEPHONE)]
# The 40-pin header carries BCM 0 to 27; 0 and 1 belong to the identity chip of an extension board.
Pin = Annotated[int, Meta(ge=2, le=27, extra={"allowed": phrases.PIN})]

SUFFIXES = {"township": ("乡", "镇", "街道", "苏木"), "village": ("村", "社区", "嘎查")}
OFFICES = {"township": "医疗保障服务站", "village": "医疗保障服务点"}


class WindowName(msgspec.Struct, frozen=True):
    """Which window this is: its name on the wire and over the counter."""

    id: Annotated[str, text(r"[0-9]{6}-[0-9]{4}-[1-9][0-9]?", phrases.WINDOW_ID)]
    label: ShortText

    @property
    def county(self) -> str:
        """The county's code: the first part of the window's name."""
        return self.id.split("-", 1)[0]


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """The station that the window belongs to."""

    level: Literal["township", "village"] = "township"
    place: ShortText
    telephone: Telephone
    complaints_telephone: Telephone = "12393"

    @property
    def name(self) -> str:
        """The official name, exactly 「XX乡(镇)医疗保障服务站」 or 「XX村(社区)医疗保障服务点」 (R164)."""
        return self.place + OFFICES[self.level]


class ClerkEntry(msgspec.Struct, frozen=True):
    """One who may serve at this window."""

    number: Annotated[str, text(r"[0-9]{1,8}", phrases.CLERK_NUMBER)]
    name: ShortText


class LedgerPlace(msgspec.Struct, frozen=True):
    """Where the ledger lies."""

    path: Path = Path("/var/lib/appliance/ledger.db")


class Panel(msgspec.Struct, frozen=True):
    """Where the pages are served; each viewer of live pages takes a thread."""

    listen: Address = "127.0.0.1"
    port: ListenPort = 8080
    viewers: Annotated[int, Meta(ge=2, le=64)] = 16


class Pad(msgspec.Struct, frozen=True, kw_only=True):
    """The rating pad: keys from 非常满意 to 非常不满意, its lamps and its times."""

    factory: Literal["lgpio", "mock"] = "lgpio"
    keys: Annotated[tuple[Pin, ...], Meta(min_length=5, max_length=5)] = (5, 6, 13, 19, 26)
    lamps: Annotated[tuple[Pin, ...], Meta(min_length=1, max_length=5, extra={"allowed": phrases.LAMPS})] = (
        17,
        27,
        22,
        23,
        24,
    )
    pull_up: bool = True
    lamps_active_low: bool = False
    bounce_ms: Annotated[int, Meta(ge=0, le=100)] = 30
    together_ms: Annotated[int, Meta(ge=50, le=1000)] = 150
    prompt_s: Annotated[float, Meta(ge=5, le=600)] = 60
    change_s: Annotated[float, Meta(ge=1, le=60)] = 5
    stuck_s: Annotated[float, Meta(ge=2, le=120)] = 10


class AwaySwitch(msgspec.Struct, frozen=True, kw_only=True):
    """The 暂时离开 switch (latching), button (momentary) or neither, and its lamp."""

    kind: Literal["switch", "button", "none"] = "switch"
    pin: Pin = 16
    lamp: Pin | None = None
    pull_up: bool = True
    lamp_active_low: bool = False
    bounce_ms: Annotated[int, Meta(ge=0, le=500)] = 50


class PrinterPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt printer: how it is reached and what it can do."""

    kind: Literal["none", "serial", "lp", "network", "bench"] = "none"
    path: Path = Path("/dev/appliance-printer")
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    host: Host | None = None
    port: Port = 9100
    flow: Literal["none", "rtscts", "dsrdtr", "xonxoff"] = "none"
    make: ShortText | None = None
    columns: Literal[32, 42, 48] = 32
    native_qr: bool = False
    cutter: bool = False
    double_size: Literal["gs", "fs"] = "gs"
    tear_lines: Annotated[int, Meta(ge=0, le=12)] = 4
    fonts: tuple[File, ...] = ()


class CameraPlace(msgspec.Struct, frozen=True):
    """The document camera."""

    kind: Literal["none", "picamera2", "bench"] = "none"


class ClockPlace(msgspec.Struct, frozen=True):
    """What sets the machine's clock: a time service over the network, or a battery that keeps it without power."""

    source: Literal["network", "battery"] = "network"


class Bench(msgspec.Struct, frozen=True):
    """The hardware on the screen, for training; off, it does not exist."""

    enabled: bool = False


class WindowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a window is told at its start."""

    window: WindowName
    station: Station
    clerks: Annotated[tuple[ClerkEntry, ...], Meta(min_length=1)]
    ledger: LedgerPlace = LedgerPlace()
    broker: Broker
    panel: Panel = Panel()
    pad: Pad = Pad()
    away: AwaySwitch = AwaySwitch()
    printer: PrinterPlace = PrinterPlace()
    camera: CameraPlace = CameraPlace()
    clock: ClockPlace = ClockPlace()
    bench: Bench = Bench()

    def pins(self) -> Iterator[tuple[str, int]]:
        """Every GPIO pin in use with the setting that names it, in the order of the file."""
        for number, pin in enumerate(self.pad.keys, 1):
            yield phrases.item("[pad] keys", number), pin
        for number, pin in enumerate(self.pad.lamps, 1):
            yield phrases.item("[pad] lamps", number), pin
        if self.away.kind != "none":
            yield "[away] pin", self.away.pin
        if self.away.lamp is not None:
            yield "[away] lamp", self.away.lamp


def load_window(path: Path | str) -> WindowSettings:
    """Read `window.toml` once; raises SettingsWrong with one sentence. Whether a device is there is not asked."""
    file = Path(path)
    settings = read(file, WindowSettings, "window.toml")
    for check in (_check_station, _check_clerks, _check_pins, _check_pulls, _check_times, _check_devices, _check_bench):
        check(file, settings)
    check_broker(file, settings.broker)
    check_address(file, "[panel] listen", settings.panel.listen)
    return settings


def _check_station(file: Path, settings: WindowSettings) -> None:
    station = settings.station
    if not station.place.endswith(SUFFIXES[station.level]):
        allowed = phrases.TOWNSHIP_PLACE if station.level == "township" else phrases.VILLAGE_PLACE
        raise SettingsWrong(phrases.wrong(file, "[station] place", phrases.found(station.place), allowed))


def _check_clerks(file: Path, settings: WindowSettings) -> None:
    seen: set[str] = set()
    for number, clerk in enumerate(settings.clerks, 1):
        if clerk.number in seen:
            where = f"{phrases.item('[clerks]', number)} number"
            raise SettingsWrong(phrases.wrong(file, where, phrases.found(clerk.number), phrases.OTHER_CLERK))
        seen.add(clerk.number)


def _check_pins(file: Path, settings: WindowSettings) -> None:
    if len(settings.pad.lamps) not in (1, 5):
        found = phrases.found(list(settings.pad.lamps))
        raise SettingsWrong(phrases.wrong(file, "[pad] lamps", found, phrases.LAMPS))
    users: dict[int, str] = {}
    for where, pin in settings.pins():
        if pin in users:
            raise SettingsWrong(phrases.pin_twice(file, where, pin, users[pin]))
        users[pin] = where


def _check_pulls(file: Path, settings: WindowSettings) -> None:
    """BCM 2 and 3 have a resistor to 3.3 V on the board: a key to 3.3 V there would never read open."""
    pulled = dict(settings.pins())
    for where, pin in pulled.items():
        section = settings.pad if where.startswith("[pad]") else settings.away
        if pin in (2, 3) and not section.pull_up and "lamp" not in where:
            raise SettingsWrong(phrases.fixed_pull(file, where, pin))


def _check_times(file: Path, settings: WindowSettings) -> None:
    pad = settings.pad
    if pad.change_s >= pad.prompt_s:
        raise SettingsWrong(
            phrases.needs(file, "[pad] change_s", f"{pad.change_s:g}", "prompt_s 比它长", f"小于 {pad.prompt_s:g} 的数")
        )
    if pad.bounce_ms >= pad.together_ms:
        raise SettingsWrong(
            phrases.needs(
                file, "[pad] bounce_ms", str(pad.bounce_ms), "together_ms 比它长", f"小于 {pad.together_ms} 的整数"
            )
        )


def _check_devices(file: Path, settings: WindowSettings) -> None:
    if settings.printer.kind == "network" and settings.printer.host is None:
        raise SettingsWrong(phrases.half(file, "[printer]", 'kind = "network"', "host"))


def _check_bench(file: Path, settings: WindowSettings) -> None:
    """What only pretends must not stand at a counter unseen: pretended parts and the bench come together."""
    enabled = settings.bench.enabled
    if enabled and settings.pad.factory != "mock":
        raise SettingsWrong(phrases.needs(file, "[bench] enabled", "true", '[pad] factory = "mock"', " false"))
    pretended = {
        "[pad] factory": ("mock", settings.pad.factory, ' "lgpio"'),
        "[printer] kind": ("bench", settings.printer.kind, ' "none"、"serial"、"lp"、"network" 之一'),
        "[camera] kind": ("bench", settings.camera.kind, ' "none"、"picamera2" 之一'),
    }
    for where, (pretence, found, real) in pretended.items():
        if found == pretence and not enabled:
            raise SettingsWrong(phrases.needs(file, where, phrases.found(found), "[bench] enabled = true", real))
