"""`make install` a second time, on a machine that is at work."""

from tests.lab.bench import Lab
from tests.lab.machine import Machine, Start
from tests.lab.scenarios.counter import must, rated
from tests.lab.scenarios.install import AS_PI

ETC = ("appliance", "systemd", "udev/rules.d", "mosquitto", "sysusers.d", "tmpfiles.d", "sysctl.d", "modules-load.d")
PLACES = " ".join(f"/etc/{each}" for each in ETC)
PROGRAM = "/opt/appliance /usr/local/bin/appliance"


def reinstall(lab: Lab) -> str:
    """A second `make install` and `make install-county` change nothing, and the window goes on."""
    # Not the machine that the others share: there the screens are switched off by the kernel's command line.
    machine = lab.on("reinstall", Start())
    machine.hands("arrive")
    was = _state(machine)
    visit, before = machine.hands("prompt"), machine.hands("last")
    seconds = []
    for command in ("sudo make install KIOSK=1", "sudo make install-county"):
        begun = machine.hands("up")
        machine.run(f"cd /home/pi/appliance && {AS_PI} {command}", 900)
        seconds.append(machine.hands("up") - begun)
    now = _state(machine)
    changed = sorted(was.items() ^ now.items())
    must(not changed, f"changed: {changed[:6]}")
    machine.hands("serving")
    must(machine.hands("until_lit", within=60), "the prompt is not lit again")
    must(machine.hands("press", grade=5) is not None, "the lamps stayed lit")
    must(rated(machine, before) == [(visit, 5)], f"kept {rated(machine, before)}")
    machine.cut()
    return f"nothing changed; window {seconds[0]:.0f} s, county {seconds[1]:.0f} s; the open prompt got its rating"


def _state(machine: Machine) -> dict[str, str]:
    """Rights, owner and content of every file that an installation may touch."""
    find = f"find {PLACES} {PROGRAM} -xdev -type f ! -path '*/__pycache__/*'"
    listed = machine.run(
        f"{find} -print0 | sort -z | xargs -0 stat -c '%n %a %U %G %s'; {find} -print0 | xargs -0 sha256sum", 300
    )
    state: dict[str, str] = {}
    for line in listed.splitlines():
        if line.startswith("/"):
            name, rest = line.split(" ", 1)
            state[name] = rest
        else:
            digest, name = line.split(maxsplit=1)
            state[f"{name} content"] = digest
    return state
