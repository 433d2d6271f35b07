"""The two screens as they are seen: pictures of a real DRM device's two heads, under sway and Chromium."""

import time
from collections.abc import Callable

from PIL import Image

from tests.lab.bench import Lab
from tests.lab.machine import Failed, Machine, Start
from tests.lab.picture import coloured, differs, lit, seen, written
from tests.lab.scenarios.counter import SWITCH, must, rated

HEADS = {"residents": 0, "clerk": 1}
# 30 s on a Pi; here everything takes so many times longer.
SLOWER, AGAIN_S = 10, 30
ACCENT, ALARM_SOFT = (0x0B, 0x5F, 0x8A), (0xFD, 0xEC, 0xEA)
"""Colours of web/shared/tokens.css."""
FIRST_S = 420
READ_ONLY_S = 900
"""The window starts anew once a minute there, which takes a Pi two seconds and this machine half of that minute."""
CHANGE_S, REST_S = 40, 6
"""How long a page may take to follow one change, and how long it has come to rest for when it has."""
NOT_KEPT, READ_ONLY, NOT_WRITTEN = "本机存储写不进去", "只读", "不能写入"

Pictures = dict[bool, list[Image.Image]]
"""What both screens show while the window is away (True) and while it is not."""


def looks(lab: Lab, machine: Machine, name: str) -> list[Image.Image]:
    """What is on both screens now; the pictures stay in the run's folder as `NAME-HEAD.png`."""
    return [seen(machine.picture(head, lab.place / f"{name}-{who}.png")) for who, head in HEADS.items()]


def with_screens(lab: Lab, name: str) -> tuple[Machine, Pictures, float]:
    """A machine with both pages live on its screens, their pictures, and how many seconds after power-on they were."""
    machine = lab.on(name, Start(screens=True))
    known: Pictures = {}
    live(lab, machine, name, FIRST_S, known)
    return machine, known, float(machine.hands("up"))


def live(lab: Lab, machine: Machine, name: str, within: float, known: Pictures) -> float:
    """Wait until both screens follow what the window does: a page that is only a picture of a page does not.

    `known` are the pictures of the window at work and away, to be filled in the first time.
    """
    began = time.monotonic()
    while time.monotonic() - began < within:
        if _follows(lab, machine, name, known):
            return time.monotonic() - began
    raise Failed(
        f"after {within:.0f} s the screens do not follow the window; see {lab.place / name}-*.png\n{_journal(machine)}"
    )


def _follows(lab: Lab, machine: Machine, name: str, known: Pictures) -> bool:
    """Away and back: each has its own picture on both screens, and the same one as the time before.

    A waiting page that gives way to the page, or takes its place, changes a screen too, but not so. Pictures to compare
    with are taken once they have come to rest, because a page is drawn piece by piece in here.
    """
    if not all(map(written, looks(lab, machine, name))):
        time.sleep(1)
        return False
    found = known or {False: _settled(lab, machine, name)}
    for closed in (True, False) if known else (True, False, True, False):
        machine.hands("pull", pin=SWITCH, closed=closed)
        if not _wait(lambda closed=closed: _shows(looks(lab, machine, name), found, closed), CHANGE_S):  # type: ignore[misc]
            machine.hands("pull", pin=SWITCH, closed=False)
            return False
        if closed not in found:
            found[closed] = _settled(lab, machine, name)
    known.update(found)
    return True


def _shows(now: list[Image.Image], known: Pictures, closed: bool) -> bool:
    """Whether both screens are lit, as they were in this state before, and not as they are in the other."""
    same, other = known.get(closed), known.get(not closed)
    return (
        all(map(lit, now))
        and (same is None or not any(map(differs, same, now)))
        and (other is None or all(map(differs, other, now)))
    )


def _wait(true: Callable[[], bool], within: float) -> bool:
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _journal(machine: Machine) -> str:
    return str(machine.attempt("journalctl --no-pager -b -n 25 -u appliance-kiosk -u seatd")["text"])


def screens(lab: Lab) -> str:
    """The compositor is killed, and every page's renderer: both pages are live again, with one browser a screen."""
    machine, known, first = with_screens(lab, "screens")
    machine.run("kill -KILL $(systemctl show -p MainPID --value appliance-kiosk)")
    compositor = live(lab, machine, "screens-compositor", AGAIN_S * SLOWER, known)
    machine.run("pkill -KILL -f -- --type=renderer")
    renderer = live(lab, machine, "screens-renderer", AGAIN_S * SLOWER, known)
    inside = machine.run("cat /sys/fs/cgroup/system.slice/appliance-kiosk.service/cgroup.procs | wc -l")
    everywhere = machine.run("pgrep -u appliance-kiosk | wc -l")
    must(inside == everywhere, f"{everywhere} processes of the screens' user, {inside} of them in the unit")
    lab.screens = machine
    return (
        f"both pages live {first:.0f} s after power-on; {compositor:.0f} s after the compositor's death, "
        f"{renderer:.0f} s after the renderers'"
    )


def disk_full(lab: Lab) -> str:
    """The disk is full: both screens say so, also when they are stopped and started then; with space all goes on."""
    machine = lab.screens or with_screens(lab, "disk-full")[0]
    machine.hands("arrive")
    well = _settled(lab, machine, "disk-full-before")
    machine.run(
        "dd if=/dev/zero of=/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/fill2 bs=4k 2>/dev/null; sync; true", 300
    )
    machine.hands("act", name="begin")
    must(
        machine.hands("waits_for_page", path="/", wanted=NOT_KEPT, within=60),
        "the clerk's page does not say that nothing is kept",
    )
    _both_differ(lab, machine, "disk-full", well)
    says = _settled(lab, machine, "disk-full")
    machine.run("systemctl stop appliance-kiosk", 120)
    left = machine.run("pgrep -u appliance-kiosk | wc -l")
    must(left == "0", f"{left} processes are left after a stop of the screens")
    machine.run("systemctl start appliance-kiosk", 120)
    began = time.monotonic()
    same = _wait(lambda: not any(map(differs, says, looks(lab, machine, "disk-full-restarted"))), AGAIN_S * SLOWER)
    must(same, f"the screens were started on a full disk and do not show the page that says so\n{_journal(machine)}")
    started = time.monotonic() - began
    machine.run("rm -f /fill /fill2; sync")
    must(
        machine.hands("waits_for_page_without", path="/", unwanted=NOT_KEPT, within=90),
        "space again, and the page still says so",
    )
    before, visit = machine.hands("last"), machine.hands("prompt")
    must(machine.hands("press", grade=5) is not None, "the lamps stayed lit")
    must(rated(machine, before) == [(visit, 5)], f"kept {rated(machine, before)}")
    machine.cut()
    lab.screens = None
    return (
        f"both screens say so; a stop leaves no process, a start shows it again after {started:.0f} s; "
        "with space again a press counts"
    )


def read_only(lab: Lab) -> str:
    """The card is read-only at power-on, and the ledger's folder alone: the page that says so is on both screens."""
    machine = lab.on("read-only", Start(words=("systemd.mask=appliance-kiosk.service",)))
    machine.run("sed -i 's/ext4 rw,/ext4 ro,/' /etc/fstab && sync")
    machine.shut()
    machine.boot(Start(screens=True, words=("ro",)), lab.hands)
    machine.hands("serving")
    must("ro" in machine.run("findmnt -no OPTIONS /").split(","), "the root is not read-only")
    must(
        machine.hands("waits_for_page", path="/", wanted=READ_ONLY, within=60),
        f"the page says: {machine.hands('page')[:300]}",
    )
    began = time.monotonic()
    there = _wait(lambda: _out_of_order(lab, machine, "read-only"), READ_ONLY_S)
    must(there, f"the screens do not show the page that says that the card is read-only\n{_journal(machine)}")
    shown = time.monotonic() - began
    # In its sandbox the card stays read-only for a process whatever happens outside, so it begins anew once a minute.
    restarts, most = int(machine.hands("show", unit="appliance", name="NRestarts")), machine.hands("up") // 55
    must(restarts <= most, f"the window was started {restarts} times, more than once a minute")
    machine.run("mount -o remount,rw / && mount --bind /var/lib/appliance /var/lib/appliance")
    machine.run("mount -o remount,bind,ro /var/lib/appliance && systemctl restart --no-block appliance")
    must(
        machine.hands("waits_for_page", path="/", wanted=NOT_WRITTEN, within=120),
        f"a read-only folder: {machine.hands('page')[:300]}",
    )
    machine.run("umount /var/lib/appliance; systemctl restart appliance", 200)
    machine.hands("arrive")
    before, visit = machine.hands("last"), machine.hands("prompt")
    must(machine.hands("press", grade=5) is not None, "the lamps stayed lit")
    must(rated(machine, before) == [(visit, 5)], f"kept {rated(machine, before)}")
    machine.cut()
    return f"page on both screens {shown:.0f} s after the window was up, a start a minute at most; also for the folder"


def _out_of_order(lab: Lab, machine: Machine, name: str) -> bool:
    """Whether the clerk's screen has the loud notice and the residents' its broad head: a waiting page has neither."""
    looks(lab, machine, name)
    residents, clerk = ((lab.place / f"{name}-{who}.png").read_bytes() for who in ("residents", "clerk"))
    return coloured(residents, ACCENT) > 0.08 and coloured(clerk, ALARM_SOFT) > 0.03


def _settled(lab: Lab, machine: Machine, name: str) -> list[Image.Image]:
    """Both screens once they have not changed for some seconds: a page is drawn piece by piece in here."""
    before, since = looks(lab, machine, name), time.monotonic()
    deadline = since + 60
    while time.monotonic() - since < REST_S and time.monotonic() < deadline:
        time.sleep(1)
        now = looks(lab, machine, name)
        if any(map(differs, before, now)):
            before, since = now, time.monotonic()
    return before


def _both_differ(lab: Lab, machine: Machine, name: str, before: list[Image.Image]) -> None:
    if not _wait(lambda: all(map(differs, before, looks(lab, machine, name))), 60):
        raise Failed(f"the page says so and the screens do not; see {lab.place / name}-*.png")
