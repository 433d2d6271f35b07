"""The README followed from nothing, word for word: county, window, screens, certificates."""

import time

from tests.lab.bench import Lab
from tests.lab.machine import Failed, Machine, Start
from tests.lab.progress import tell
from tests.lab.readme import section

README, CARD = "README.md", "firmware_config/README.md"
WINDOW = "430602-0107-1"
# What a person changes in the editor: the stations' names, the printer that is there, and five minutes for a rating
# instead of one, because everything in this machine takes so much longer.
EDITS = {
    "county.toml": "s/^#0107 = /0107 = /",
    "window.toml": '/^\\[printer\\]/,/^kind/s/^kind = "none"/kind = "serial"/\ns/^prompt_s = 60/prompt_s = 300/',
}
# This machine's sockets have other names than a Pi's, it would take a screen for as large as it can be, and has nothing
# that draws but its processor.
SOCKETS = (
    r"s/HDMI-A-1/Virtual-1/; s/HDMI-A-2/Virtual-2/; s/^output \* dpms on$/&\noutput * mode --custom 800x480@30Hz/; "
    r"s/^\(exec \$watch .*\) ||/\1 -- --disable-gpu ||/"
)
UNITS = ("appliance", "appliance-county", "appliance-kiosk", "mosquitto")
# A pi's commands, with wheels from a folder: the installation itself asks for hashes as ever.
AS_PI = "runuser -u pi -- env HOME=/home/pi PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/wheels"


class Reader:
    """The person who reads the README and types: the user pi, in a clone of the project, one line after the other."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.folder = "/home/pi/appliance"
        self.typed = 0
        self.took: list[tuple[str, float]] = []

    def follow(self, lines: list[str]) -> None:
        """Type each line as it stands; Failed at the first that does not end well."""
        for line in lines:
            began = time.monotonic()
            tell(f"  $ {line}")
            self._type(line)
            self.typed += 1
            self.took.append((line, time.monotonic() - began))

    def _type(self, line: str) -> None:
        self._machine.put("/run/lab-line", f"cd {self.folder}\n{line}")
        done = self._machine.attempt(f"{AS_PI} bash /run/lab-line", 1500)
        # The doctor is asked before all is well, too; what he says is looked at in the end.
        if done["code"] and "appliance doctor" not in line:
            raise Failed(f"{line!r} ended with {done['code']}:\n{done['text'][-3000:]}")


def readme(lab: Lab) -> str:
    """Installs what all other scenarios run on."""
    lab.forget()
    machine = lab.machine("install", lab.image.disk)
    machine.boot(Start(careless=True, screens=True, disks=(lab.project, lab.wheels)), lab.hands)
    printer = lab.printer(machine)
    _provide(machine)
    reader = Reader(machine)
    reader.follow(section(README, "A county"))
    reader.follow([_with_screens(line) for line in section(README, "A window on a Pi")])
    reader.follow(section(CARD, "Certificates", holding="authority 岳阳楼区医疗保障局"))
    reader.follow(section(CARD, "Certificates", holding="/etc/mosquitto/certs"))
    machine.run(f"cp -r /root/authority/out/{WINDOW} /home/pi/stick && chown -R pi: /home/pi/stick")
    reader.folder = "/home/pi/stick"
    reader.follow(section(CARD, "Certificates", holding="window.key"))
    fit_screens(machine)
    all_of_it_runs(machine)
    doctor = machine.attempt("appliance doctor", 120)
    if doctor["code"]:
        raise Failed(f"the doctor is not content: {doctor['text']}")
    # What a reader would have who lets the machine start again: all of it by itself.
    machine.run("rm -rf /home/pi/stick && sync")
    machine.shut()
    printer.close()
    lab.keep(machine)
    installing = [f"{took:.0f}" for line, took in reader.took if "make install" in line]
    return f"{reader.typed} lines typed; make install took {', '.join(installing)} s"


def fit_screens(machine: Machine) -> None:
    """What a person sets for screens that are not a Pi's, and what this machine needs to draw without any GPU."""
    machine.put("/etc/systemd/system/appliance-kiosk.service.d/lab.conf", "[Service]\nEnvironment=WLR_RENDERER=pixman")
    change = f"sed -i '{SOCKETS}' /etc/appliance/kiosk.conf"
    machine.run(f"{change} && systemctl daemon-reload && systemctl restart appliance-kiosk", 200)


def _with_screens(line: str) -> str:
    """The README says so beside the line: KIOSK=1 also sets up the two screens."""
    return line.replace("make install ", "make install KIOSK=1 ") if "KIOSK=1" in line else line


def _provide(machine: Machine) -> None:
    """What a person has before the README begins: a clone of the project, the package index, an editor, two screens."""
    machine.run("tar -C /home/pi -xf /dev/vdc && chown -R pi: /home/pi/appliance && tar -C /srv -xf /dev/vdd", 300)
    for name, edit in EDITS.items():
        machine.put(f"/run/lab-edits/{name}", edit)


def all_of_it_runs(machine: Machine, within: float = 180) -> None:
    """All units active, the window connected to the county, every fact acknowledged; for ten seconds on end."""
    deadline, well = time.monotonic() + within, 0.0
    while well < 10:
        now = machine.attempt(f"systemctl is-active {' '.join(UNITS)}")["text"].split()
        health = machine.hands("health")
        if now == ["active"] * len(UNITS) and health.get("connected") and health.get("unsent") == 0:
            well += 2
        else:
            well = 0
        if time.monotonic() > deadline:
            journal = machine.attempt(f"journalctl --no-pager -b -n 40 {' '.join(f'-u {each}' for each in UNITS)}")[
                "text"
            ]
            raise Failed(f"{dict(zip(UNITS, now, strict=False))}, {health}\n{journal}")
        time.sleep(2)
