"""In the guest: a person's hands and eyes.

Contacts are pulled through gpio-sim and lamps read back from it, pages asked for by HTTP, the ledger only read."""

import ctypes
import functools
import html
import http.client
import json
import os
import random
import re
import sqlite3
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEYS = {5: 5, 4: 6, 3: 13, 2: 19, 1: 26}
LAMPS = (17, 27, 22, 23, 24)
AWAY = 16
LINES = Path("/run/lab-lines")
LEDGER = "file:/var/lib/appliance/ledger.db?mode=ro"
PAGES = ("127.0.0.1", 8080)


@functools.cache
def _open(pin: int, name: str, flags: int) -> int:
    return os.open(LINES / f"sim_gpio{pin}" / name, flags)


def pull(pin: int, closed: bool) -> None:
    """Close a contact to ground, or open it."""
    os.pwrite(_open(pin, "pull", os.O_WRONLY), b"pull-down" if closed else b"pull-up", 0)


def lamps() -> list[bool]:
    """Which lamps are lit."""
    return [os.pread(_open(pin, "value", os.O_RDONLY), 4, 0).strip() == b"1" for pin in LAMPS]


def until(true: Callable[[], object], within: float, every: float = 0.002) -> bool:
    """Wait until something is true; whether it came true in time."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def up() -> float:
    """Seconds since the machine was switched on, as the kernel counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# ---- the pages


def ask(
    method: str, path: str, fields: dict[str, str] | None = None, accept: str = "text/html"
) -> tuple[int, str, str]:
    """One request as a browser on this machine makes it: status, text, and where it leads."""
    link = http.client.HTTPConnection(*PAGES, timeout=30)
    home = f"http://{PAGES[0]}:{PAGES[1]}"
    header = {"Origin": home, "Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
    try:
        link.request(method, path, urllib.parse.urlencode(fields or {}) if method == "POST" else None, header)
        got = link.getresponse()
        return got.status, got.read().decode(), got.headers.get("Location", "")
    finally:
        link.close()


def act(name: str, **fields: str) -> int:
    """Press a button of the clerk's panel; the status of the answer."""
    return ask("POST", f"/act/{name}", fields, "application/json")[0]


def page(path: str = "/") -> str:
    """What a page says, without its tags."""
    text = ask("GET", path)[1]
    text = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text))).strip()


def health() -> dict[str, Any]:
    """What /healthz says; nothing while nobody answers there."""
    try:
        return dict(json.loads(ask("GET", "/healthz")[1]))
    except (OSError, http.client.HTTPException, ValueError):
        return {}


def state() -> str:
    """What the window does now."""
    return str(health().get("state", "unreachable"))


def serving(within: float = 120) -> float:
    """Wait until the window answers and say when that was, in seconds since power-on."""
    if not until(health, within, 0.1):
        raise TimeoutError(f"no window within {within} s")
    return up()


# ---- the ledger


def ledger(query: str, *values: Any) -> list[Any]:
    """Rows of the ledger as it lies on the disk."""
    book = sqlite3.connect(LEDGER, uri=True, timeout=20)
    try:
        return book.execute(query, values).fetchall()
    finally:
        book.close()


def last() -> int:
    """The number of the newest fact."""
    return int(ledger("select coalesce(max(seq),0) from facts")[0][0])


def since(number: int) -> list[dict[str, Any]]:
    """The facts after that number: type, time, uptime and data."""
    rows = ledger("select seq,type,payload from facts where seq>? order by seq", number)
    return [_fact(seq, kind, json.loads(payload)) for seq, kind, payload in rows]


def _fact(seq: int, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    named = ("time", "data", "bootid", "clocksynced")
    return {"seq": seq, "type": kind, "uptime": float(payload["uptime"]), **{name: payload[name] for name in named}}


def hashes() -> dict[str, str]:
    """Every fact's number and the hash of its bytes."""
    import hashlib

    return {str(seq): hashlib.sha256(bytes(raw)).hexdigest() for seq, raw in ledger("select seq,payload from facts")}


# ---- the counter


def arrive() -> None:
    """The clerk is there, nobody is away, and no prompt is open."""
    pull(AWAY, False)
    for pin in KEYS.values():
        pull(pin, False)
    until(lambda: state() not in ("away", "rating", "unreachable"), 90, 0.1)
    act("arrive", number="0107")


def prompt() -> str:
    """One visit up to the lit lamps; the visit's number."""
    begun, ended = act("begin"), act("end")
    if not until(lambda: all(lamps()), 20):
        raise TimeoutError(f"the lamps stayed dark: begin {begun}, end {ended}, {health()}")
    return str(
        json.loads(ledger("select payload from facts where type='visit.ended' order by seq desc")[0][0])["data"][
            "visit"
        ]
    )


def press(grade: int, hold: float = 0.12) -> float | None:
    """Press a key while the lamps are lit; seconds until they went out, None when they stayed lit."""
    began = time.monotonic()
    pull(KEYS[grade], True)
    out = until(lambda: not any(lamps()), 10, 0.0005)
    took = time.monotonic() - began
    time.sleep(max(0.0, hold - took))
    pull(KEYS[grade], False)
    return took if out else None


def tap(grade: int, hold: float = 0.12) -> None:
    """Press a key for so long, whatever the lamps do."""
    pull(KEYS[grade], True)
    time.sleep(hold)
    pull(KEYS[grade], False)


def two(first: int, second: int, gap: float) -> None:
    """Press two keys, the second so many seconds after the first, and let both go."""
    pull(KEYS[first], True)
    time.sleep(gap)
    pull(KEYS[second], True)
    time.sleep(0.2)
    pull(KEYS[first], False)
    pull(KEYS[second], False)


def bounce(pin: int, closed: bool, pulses: int, within: float, seed: int) -> None:
    """A worn contact: so many short pulses at random moments, ending as `closed`."""
    moments = sorted(random.Random(seed).uniform(0, within) for _ in range(2 * pulses))
    began, level = time.perf_counter(), closed
    pull(pin, level)
    for moment in moments:
        while time.perf_counter() - began < moment:
            pass
        level = not level
        pull(pin, level)


def bouncing_press(grade: int, pulses: int, within: float, seed: int) -> float | None:
    """Press and release a worn key while the lamps are lit; seconds until they went out."""
    began = time.monotonic()
    bounce(KEYS[grade], True, pulses, within, seed)
    out = until(lambda: not any(lamps()), 10, 0.0005)
    took = time.monotonic() - began
    time.sleep(0.1)
    bounce(KEYS[grade], False, pulses, within, seed + 1)
    return took if out else None


def waits_for(kind: str, number: int, within: float) -> dict[str, Any] | None:
    """The first fact of that type after that number, as soon as it is there."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [fact for fact in since(number) if fact["type"] == kind]
        return bool(found)

    return found[0] if until(there, within, 0.05) else None


def waits_for_state(wanted: str, within: float) -> bool:
    """Whether the window came to do that in time."""
    return until(lambda: state() == wanted, within, 0.05)


def waits_for_page(path: str, wanted: str, within: float) -> bool:
    """Whether the page came to say that in time."""

    def says() -> bool:
        try:
            return wanted in page(path)
        except (OSError, http.client.HTTPException):
            return False

    return until(says, within, 0.2)


# ---- papers


def printer_is_there(within: float) -> bool:
    """Whether the printer came to have its name in time."""
    return until(Path("/dev/appliance-printer").exists, within, 0.1)


def items() -> list[str]:
    """The items that the panel offers a receipt for."""
    return list(dict.fromkeys(re.findall(r'/receipt/([a-z0-9_]+)"', ask("GET", "/")[1])))


def take_in(item: str, applicant: str = "欧阳娜娜") -> str:
    """Fill in an item's form as a clerk would and send it; the paper's number."""
    status, text, leads = ask("GET", f"/receipt/{item}")
    if status == 303 and leads.startswith("/day"):
        say_day(time.time())
        status, text, leads = ask("GET", f"/receipt/{item}")
    form: dict[str, str] = {"form": _one(r'name="form" value="([^"]+)"', text), "applicant": applicant}
    form |= {name: html.unescape(value) for name, value in re.findall(r'name="(name\d+)" value="([^"]*)"', text)}
    for number in re.findall(r'id="tick(\d+)"', text):
        form |= {f"tick{number}": "on", f"pages{number}": "1"}
    if 'name="year"' in text:
        form |= _date("", time.time() + 20 * 86400)
    status, answer, leads = ask("POST", f"/receipt/{item}", form)
    if status != 303:
        raise ValueError(f"the form was not taken: {status} {re.sub(r'<[^>]+>', ' ', answer)[:1500]}")
    return leads.rsplit("/", 1)[1]


def say_day(at: float) -> None:
    """The clerk says which day it is, asked because the clock cannot be trusted."""
    status, answer, _ = ask("POST", "/day", _date("today_", at))
    if status != 303:
        raise ValueError(f"the day was not taken: {status} {re.sub(r'<[^>]+>', ' ', answer)[:1500]}")


def _date(prefix: str, at: float) -> dict[str, str]:
    day = time.localtime(at)
    return {f"{prefix}year": str(day.tm_year), f"{prefix}month": str(day.tm_mon), f"{prefix}day": str(day.tm_mday)}


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern} in {text[:300]}")
    return found[1]


def outcome(paper: str, within: float = 90) -> list[str]:
    """What became of a paper: its state and the reason, once it is neither queued nor being sent."""
    rows: list[Any] = []

    def ended() -> bool:
        rows[:] = ledger("select state,reason from papers where paper=?", paper)
        return bool(rows) and rows[0][0] not in ("queued", "sending")

    until(ended, within, 0.05)
    return list(rows[0]) if rows else []


# ---- the machine


def show(unit: str, name: str) -> str:
    """One property of a unit."""
    command = ["systemctl", "show", "--property", name, "--value", unit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Timex(ctypes.Structure):
    """The first fields of the kernel's struct timex, and room for the others."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


ADJ_MAXERROR, ADJ_ESTERROR, ADJ_STATUS = 0x4, 0x8, 0x10


def time_service(now: float) -> int:
    """What a time service does when it has found the time: steps the clock, and tells the kernel that it is good."""
    time.clock_settime(time.CLOCK_REALTIME, now)
    word = Timex(modes=ADJ_MAXERROR | ADJ_ESTERROR | ADJ_STATUS, maxerror=1000, esterror=1000, status=0)
    return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(word)))


def until_lit(within: float = 10) -> bool:
    """Whether the lamps are lit again in time."""
    return until(lambda: all(lamps()), within)


def until_not(state_: str, within: float) -> bool:
    """Whether the window came to do something else in time."""
    return until(lambda: state() not in (state_, "unreachable"), within, 0.05)


def until_restarted(unit: str, process: str, within: float = 150) -> bool:
    """Whether a unit runs as another process than this, and its pages answer, in time."""

    def another() -> bool:
        return show(unit, "MainPID") not in (process, "0") and bool(health())

    return until(another, within, 0.25)


def this_boot(kinds: list[str]) -> list[dict[str, Any]]:
    """The facts of those types since the machine was switched on."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return [fact for fact in since(0) if fact["bootid"] == boot and fact["type"] in kinds]


def waits_for_this_boot(kind: str, within: float) -> dict[str, Any] | None:
    """The first fact of that type of this boot, as soon as it is there."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = this_boot([kind])
        return bool(found)

    return found[0] if until(there, within, 0.2) else None


def day_is_asked() -> bool:
    """Whether a form for a receipt leads to the question which day it is."""
    status, _, leads = ask("GET", f"/receipt/{items()[0]}")
    return status == 303 and leads.startswith("/day")


def waits_for_page_without(path: str, unwanted: str, within: float) -> bool:
    """Whether the page came to say that no longer, in time."""

    def silent() -> bool:
        try:
            return unwanted not in page(path)
        except (OSError, http.client.HTTPException):
            return False

    return until(silent, within, 0.2)
