"""From power-on to the first press, and back again when the program or the kernel hangs."""

import time

from tests.lab.bench import Lab
from tests.lab.machine import BOOT_S, Machine, Start
from tests.lab.scenarios.counter import must, rated
from tests.lab.scenarios.install import all_of_it_runs
from tests.lab.scenarios.paper import printer_after_boot


def boot(lab: Lab) -> str:
    """A cold boot with printer and screens plugged in: all units come up, a press counts, a receipt comes out."""
    machine = lab.machine("boot")
    agent = machine.boot(Start(screens=True, words=("lab.early",)), lab.hands)
    printer = lab.printer(machine)
    ready = machine.hands("serving")
    pressed = machine.hands("waits_for_this_boot", kind="press.stray", within=60)
    machine.run("touch /run/lab-enough")
    must(pressed, "no press was taken within a minute of the window's being up")
    lab.learn(machine)
    all_of_it_runs(machine)
    target = int(machine.hands("show", unit="multi-user.target", name="ActiveEnterTimestampMonotonic")) / 1e6
    failed = machine.run("systemctl --failed --no-legend --plain")
    must(not failed, f"failed units: {failed}")
    machine.hands("arrive")
    paper = printer_after_boot(machine, printer)
    trouble = machine.hands("this_boot", kinds=["device.failed"])
    must(not trouble, f"a boot with everything plugged in says {[each['data'] for each in trouble]}")
    machine.cut()
    return (
        f"first press taken {pressed['uptime']:.1f} s after power-on, multi-user.target {target:.1f} s "
        f"(agent {agent:.0f} s, pages {ready:.0f} s at the latest); window, county, kiosk, mosquitto active; "
        f"first receipt {paper:.0f} s"
    )


def hang(lab: Lab) -> str:
    """A program that hangs (SIGSTOP) is ended by its watchdog, and the same prompt is lit again."""
    machine, _ = lab.shared()
    before, visit = machine.hands("last"), machine.hands("prompt")
    process = machine.hands("show", unit="appliance", name="MainPID")
    began = time.monotonic()
    machine.run(f"kill -STOP {process}")
    must(machine.hands("until_restarted", unit="appliance", process=process), "it hangs for ever")
    seconds = time.monotonic() - began
    _same_prompt(machine, before, visit, 5)
    return f"hung → watchdog → the same prompt after {seconds:.0f} s, and its rating kept once"


def panic(lab: Lab) -> str:
    """A dead kernel is reset by the hardware watchdog, and the same prompt is lit again."""
    machine, _ = lab.shared()
    before, visit = machine.hands("last"), machine.hands("prompt")
    # The kernel's own restart after a panic is switched off: only the chip is left.
    machine.run("sysctl -q kernel.panic=0; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    reset = machine.wait_for("RESET", 90)
    machine.began = time.monotonic()
    machine.wait(BOOT_S)
    up = machine.hands("serving")
    _same_prompt(machine, before, visit, 4)
    machine.hands("time_service", now=time.time())
    return f"dead kernel → reset by the chip after {reset:.0f} s → the same prompt {up:.0f} s later, rated once"


def _same_prompt(machine: Machine, before: int, visit: str, grade: int) -> None:
    must(machine.hands("until_lit", within=60), f"the prompt is not lit again: {machine.hands('health')}")
    must(machine.hands("press", grade=grade) is not None, "the lamps stayed lit")
    must(rated(machine, before) == [(visit, grade)], f"visit {visit} was asked, kept is {rated(machine, before)}")
