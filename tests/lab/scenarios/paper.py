"""The receipt printer behind its USB cable: what it prints is read back, and its plug pulled in the middle of it."""

import time

from tests.lab.bench import NO_SCREENS, Lab
from tests.lab.machine import Failed, Machine, Start
from tests.lab.printer import Printer
from tests.lab.scenarios.counter import must

# Bytes a second: a real printer at 9600 baud takes 960.
SLOW = 600


def printed(machine: Machine, printer: Printer, item: str = "jmcbdj") -> tuple[str, float]:
    """Take something in and print its receipt; the paper as it came out, and how long that took."""
    # Its driver finds it some seconds after the window is up.
    must(machine.hands("printer_is_there", within=90), "udev has given no printer its name")
    began, before = time.monotonic(), len(printer.got)
    paper = machine.hands("take_in", item=item)
    outcome = machine.hands("outcome", paper=paper)
    must(outcome and outcome[0] == "confirmed", f"the paper {paper} is {outcome}")
    text = "\n".join(printer.papers(before))
    must(paper.rsplit("-", 1)[0] in text, f"no paper {paper} came out of the printer, but:\n{text}")
    return text, time.monotonic() - began


def receipt(lab: Lab) -> str:
    """A receipt comes out over USB serial, whole, and can be read."""
    machine, printer = lab.shared()
    text, took = printed(machine, printer)
    for words in ("收件回执", "梅溪乡医疗保障服务站", "0730-8123456"):
        must(words in text, f"{words!r} does not stand on the paper:\n{text}")
    return f"confirmed and read back after {took:.0f} s, {len(text.splitlines())} lines"


def unplug(lab: Lab) -> str:
    """The cable is pulled in the middle of a paper: it is not called printed; plugged in again, the next one is."""
    machine = lab.on("unplug", Start(words=(NO_SCREENS,)))
    printer = lab.printer(machine, SLOW)
    machine.hands("time_service", now=time.time())
    machine.hands("arrive")
    printed(machine, printer)
    facts, before = machine.hands("last"), len(printer.got)
    paper = machine.hands("take_in", item=machine.hands("items")[0])
    must(printer.waits_for(before + 300, 60), "nothing was sent to the printer")
    machine.unplug()
    printer.drop()
    outcome = machine.hands("outcome", paper=paper)
    must(outcome and outcome[0] in ("unconfirmed", "failed"), f"a paper cut in its middle is {outcome}")
    must(
        machine.hands("waits_for", kind="device.failed", number=facts, within=40),
        "nothing says that the printer is gone",
    )
    visit = machine.hands("prompt")
    must(machine.hands("press", grade=5) is not None, "without its printer the window takes no press")
    machine.plug()
    began = time.monotonic()
    well = machine.hands("waits_for", kind="device.recovered", number=facts, within=90)
    must(well, "plugged in again, and the printer is not back")
    back = time.monotonic() - began
    printed(machine, printer)
    must(visit, "no visit")
    machine.cut()
    return f"cut paper {outcome[0]}, presses taken meanwhile, printer back after {back:.0f} s, next paper confirmed"


def printer_after_boot(machine: Machine, printer: Printer) -> float:
    """How long the first receipt after a boot takes; Failed when it is not printed."""
    try:
        return printed(machine, printer)[1]
    except Failed as wrong:
        raise Failed(f"the printer that was plugged in at power-on: {wrong}") from wrong
