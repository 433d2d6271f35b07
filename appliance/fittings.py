"""From settings to parts: what a window is fitted with, each part taking plain values and not the settings."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from appliance.courier import Address
from appliance.courier.dial import trust
from appliance.devices.cable import Cable
from appliance.devices.condition import Condition, Outcome
from appliance.devices.pad import PadWiring
from appliance.devices.pins import Pins
from appliance.documents import shipped
from appliance.guard import DeviceTrouble
from appliance.settings import SettingsWrong, WindowSettings, password
from appliance.settings.phrases import certificates
from appliance.window.catalogue import read_catalogue
from appliance.window.facts import CaseReceived
from appliance.window.rules import Rules
from appliance.window.view import Clerk
from appliance.window.workdays import published

if TYPE_CHECKING:
    from appliance.devices.bench import Away, Wires
    from appliance.devices.camera import Camera
    from appliance.devices.paper_bench import BenchPrinter
    from appliance.devices.ports import Port
    from appliance.devices.printer import Printer
    from appliance.paper.document import Document
    from appliance.paper.glyphs import Glyphs
    from appliance.paper.profile import Profile


def rules_of(settings: WindowSettings) -> Rules:
    """What the window decides by, with the county documents that ship until the county sends its own."""
    return Rules(
        window=settings.window.id,
        level=settings.station.level,
        clerks=tuple(Clerk(clerk.number, clerk.name) for clerk in settings.clerks),
        catalogue=read_catalogue(shipped("catalogue")),
        calendar=published(),
        prompt_s=settings.pad.prompt_s,
        change_s=settings.pad.change_s,
        together_s=settings.pad.together_ms / 1000,
        away_kind=settings.away.kind,
    )


def wiring_of(settings: WindowSettings) -> PadWiring:
    """Keys and switch."""
    pad, away = settings.pad, settings.away
    return PadWiring(
        keys=pad.keys,
        pull_up=pad.pull_up,
        bounce_s=pad.bounce_ms / 1000,
        together_s=pad.together_ms / 1000,
        stuck_s=pad.stuck_s,
        away_kind=away.kind,
        away_pin=away.pin,
        away_pull_up=away.pull_up,
        away_bounce_s=away.bounce_ms / 1000,
    )


def address_of(settings: WindowSettings, cable: Cable | None) -> Address:
    """Where the broker is; at a bench, the near end of the cable to it. Raises SettingsWrong for its files."""
    broker = settings.broker
    address = Address(
        host="127.0.0.1" if cable else broker.host,
        port=cable.port if cable else broker.port,
        username=broker.username,
        password=password(broker),
        ca_file=broker.ca_file,
        cert_file=broker.cert_file,
        key_file=broker.key_file,
    )
    try:
        trust(address)
    except OSError as error:
        raise SettingsWrong(certificates(error)) from error
    return address


def cable_of(settings: WindowSettings) -> Cable | None:
    """The network cable that a bench can pull; None at a real counter, where hands do that."""
    return Cable(settings.broker.host, settings.broker.port) if settings.bench.enabled else None


def profile_of(settings: WindowSettings) -> "Profile":
    """What the printer can do, by its make where that is named; raises UnknownProfile.

    Without a table of makes it is what the other settings say: `no_makes` tells the clerk.
    """
    from appliance.paper.profile import Profile, profile

    printer = settings.printer
    known = Profile(name=printer.kind, cells=printer.columns, cutter=printer.cutter, native_qr=printer.native_qr)
    if printer.make and no_makes(settings) is None:
        known = profile(printer.make)
    return msgspec.structs.replace(known, enlarge=printer.double_size, tear_lines=printer.tear_lines)


def no_makes(settings: WindowSettings) -> DeviceTrouble | None:
    """Why the named make of printer cannot be looked up; None when it can, or none is named. Raises UnknownProfile."""
    from appliance.paper.profile import profile

    try:
        profile(settings.printer.make or "58mm")
    except DeviceTrouble as trouble:
        return trouble
    return None


def glyphs_of(settings: WindowSettings) -> "Glyphs":
    """The fonts for rare characters: those named, else those installed."""
    from appliance.paper.glyphs import Glyphs

    glyphs = Glyphs(settings.printer.fonts or None)
    glyphs.look()
    return glyphs


def printer_of(settings: WindowSettings, bench: "BenchPrinter | None") -> "Printer":
    """The printer that the settings name."""
    from appliance.devices.printer import EscPosPrinter

    if bench is not None:
        return EscPosPrinter(bench)
    port = _port_of(settings)
    return NoPrinter() if port is None else EscPosPrinter(port)


def _port_of(settings: WindowSettings) -> "Port | None":
    from appliance.devices.ports import LinePrinterPort, NetworkPort, SerialPort

    printer = settings.printer
    if printer.kind == "serial":
        return SerialPort(str(printer.path), printer.baud, printer.flow)
    if printer.kind == "lp":
        return LinePrinterPort(str(printer.path))
    if printer.kind == "network" and printer.host is not None:
        return NetworkPort(printer.host, printer.port)
    return None


def bench_printer_of(settings: WindowSettings) -> "BenchPrinter | None":
    """The bench's printer, where the settings want it; it prints at the speed of the serial line it stands for."""
    if settings.printer.kind != "bench":
        return None
    from appliance.devices.paper_bench import BenchPrinter

    return BenchPrinter(profile_of(settings), pace=settings.printer.baud)


def camera_of(settings: WindowSettings) -> "Camera | None":
    """The document camera that the settings name."""
    from appliance.devices.camera import BenchCamera, PiCamera

    if settings.camera.kind == "bench":
        return BenchCamera()
    return PiCamera() if settings.camera.kind == "picamera2" else None


def wires_of(settings: WindowSettings, pins: Pins) -> "Wires":
    """The bench's contacts and lamps, by the names that its page knows."""
    from appliance.devices.bench import Wires

    pad, away = settings.pad, settings.away
    names = ["prompt"] if len(pad.lamps) == 1 else [f"prompt-{grade}" for grade in (5, 4, 3, 2, 1)]
    lamps = {name: (pin, pad.lamps_active_low) for name, pin in zip(names, pad.lamps, strict=True)}
    if away.lamp is not None:
        lamps["away"] = (away.lamp, away.lamp_active_low)
    return Wires(pins, pad.keys, pad.pull_up, lamps)


def away_of(settings: WindowSettings, wires: "Wires") -> "Away":
    """The bench's 暂时离开 contact."""
    from appliance.devices.bench import Away

    return Away(settings.away.kind, wires, settings.away.pin, settings.away.pull_up)


def writer_of(settings: WindowSettings) -> "Callable[[CaseReceived, int], Document]":
    """Writes out the 收件回执 of a case for one of its copies."""
    from appliance.paper.slips import Material, ReceiptFields, receipt

    def write(case: CaseReceived, copy: int) -> "Document":
        return receipt(
            ReceiptFields(
                materials=tuple(Material(handed.name, handed.pages) for handed in case.materials),
                pick_up=case.due,
                pick_up_is=case.due_is,
                clerk_name=case.clerk_name,
                clerk_number=case.clerk,
                number=case.case,
                item=case.item_name,
                applicant=case.applicant,
                received=case.received,
                station=settings.station.name,
                window=settings.window.label,
                promised_days=case.promised_days,
                telephone=settings.station.telephone,
                complaint_telephone=settings.station.complaints_telephone,
                copy=copy,
                dated_by_clerk=case.dated == "clerk",
            )
        )

    return write


class NoPrinter:
    """A window without a printer: every paper fails at once and says so, and nothing is out of order."""

    def condition(self) -> Condition:
        """Nothing is known of a printer that nobody promised."""
        return Condition("unknown", "absent")

    def carry_out(self, job: bytes) -> Outcome:
        """There is nothing to print on."""
        return Outcome("failed", "no_printer", f"{len(job)} bytes")
