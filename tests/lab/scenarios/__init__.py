"""What is tried in the lab, in this order; the name is what `make lab ARGS=NAME` takes."""

from collections.abc import Callable

from tests.lab.bench import Lab
from tests.lab.scenarios import again, boot, clock, counter, install, paper, power, screens

Scenario = Callable[[Lab], str]

SCENARIOS: dict[str, Scenario] = {
    "readme": install.readme,
    "boot": boot.boot,
    "grades": counter.grades,
    "bounce": counter.bounce,
    "two-keys": counter.two_keys,
    "stuck": counter.stuck,
    "switch": counter.switch,
    "receipt": paper.receipt,
    "unplug": paper.unplug,
    "hang": boot.hang,
    "panic": boot.panic,
    "clock": clock.clock,
    "screens": screens.screens,
    "disk-full": screens.disk_full,
    "read-only": screens.read_only,
    "power": power.power,
    "reinstall": again.reinstall,
}

LANES = (("power",), ("clock", "read-only", "reinstall"))
"""What comes last and two at a time, because it measures nothing shorter than a boot and mostly waits for one."""
