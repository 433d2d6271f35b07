"""The command itself: take the place and the ports, write the settings, start everything, watch it, end it."""

import argparse
import fcntl
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO
from unicodedata import east_asian_width

from appliance import broker
from appliance.demo import phrases
from appliance.demo.children import RESTART_S, Child, answers_health, listens, stop
from appliance.demo.plan import LOOPBACK, Ports, Window, addresses, county_toml, window_toml, windows
from appliance.demo.signals import Signals

READY_S = 90.0
"""How long the start may take; a Raspberry Pi 3 with a slow card needs half of it."""
LOG_BYTES = 1_000_000
LOWEST, HIGHEST = 1024, 65532
LOOK_S, WATCH_S = 0.1, 1.0


class CannotRun(Exception):
    """The demo does not start, or cannot go on: one sentence."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `appliance demo`."""
    parser.add_argument("--state", type=Path, default=Path(".demo"), metavar="DIR", help=phrases.OPTION_STATE)
    parser.add_argument("--port-base", type=int, default=None, metavar="N", help=phrases.OPTION_PORT_BASE)


def run_demo(options: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C or a stop; returns the exit status: 0 when it was ended, 1 when it could not run."""
    with Signals() as signals:
        try:
            ports = _ports(options.port_base)
            with _alone(_place(options.state)) as state:
                _check_free(ports)
                _run(state, ports, signals)
        except CannotRun as reason:
            _say(str(reason), sys.stderr)
            return 1
        _say(phrases.ENDED)
        return 0


def _say(words: str, to: TextIO | None = None) -> None:
    """Tell the person at the terminal; one who closed it is told nothing, and the demo still ends as it should."""
    stream = to or sys.stdout
    try:
        print(words, file=stream, flush=True)
    except OSError:
        # What is still in the stream's buffer has to go somewhere, or Python ends with a status of its own.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


# ---- before anything is started -----------------------------------------------------------------------------------


def _ports(base: int | None) -> Ports:
    if base is None:
        return Ports()
    if not LOWEST <= base <= HIGHEST:
        raise CannotRun(phrases.port_base_wrong(LOWEST, HIGHEST))
    return Ports.from_base(base)


def _place(named: Path) -> Path:
    if find_spec("iotcore") is None:
        raise CannotRun(phrases.no_broker())
    state = named.expanduser().resolve()
    if re.search(r"[\s?]", str(state)):
        # The county's book is named by a URL, where these mean something else.
        raise CannotRun(phrases.state_name(state))
    try:
        (state / "logs").mkdir(parents=True, exist_ok=True)
    except OSError:
        raise CannotRun(phrases.no_state(state)) from None
    return state


@contextmanager
def _alone(state: Path) -> Iterator[Path]:
    """Hold the state directory for this demo alone; the kernel lets go of it however the demo ends."""
    try:
        lock = (state / "lock").open("a+", encoding="ascii")
    except OSError:
        raise CannotRun(phrases.no_state(state)) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotRun(phrases.running(lock.read().strip())) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield state


def _check_free(ports: Ports) -> None:
    for port, name in ports.named():
        with socket.socket() as probe:
            # As the servers themselves do: connections that a demo before this one left behind take no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                raise CannotRun(phrases.port_taken(port, name)) from None


# ---- while it runs ------------------------------------------------------------------------------------------------


def _run(state: Path, ports: Ports, signals: Signals) -> None:
    _say(phrases.STARTING)
    server, *rest = children = _children(state, ports)
    try:
        _start(children, signals, state)
        if not signals.ending:
            _announce(ports)
        while not signals.ending:
            _look_after(children)
            signals.wait(WATCH_S if all(child.ready for child in children) else LOOK_S)
    finally:
        _say(phrases.ENDING)
        # The broker last: windows and county say goodbye through it.
        stop(rest)
        stop([server])


def _children(state: Path, ports: Ports) -> list[Child]:
    """The broker first, then the county, then the windows, with the settings of each written."""
    shown = windows(ports)
    pid_file = state / "broker.pid"
    # In whatever the terminal speaks, the logs are in UTF-8.
    speech = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    environment = {**os.environ, **speech, broker.PID_FILE_VARIABLE: str(pid_file)}

    def child(name: str, key: str, command: Sequence[str], probe: Callable[[], bool]) -> Child:
        return Child(name, command, probe, _log(state, key), environment)

    def ours(word: str, settings: Path) -> list[str]:
        return [sys.executable, "-m", "appliance", word, "--settings", str(settings)]

    def window(each: Window) -> Child:
        settings = _write(state / f"window-{each.site}.toml", window_toml(each, ports, state))
        return child(each.name, f"window-{each.site}", ours("run", settings), lambda: answers_health(each.port))

    county = _write(state / "county.toml", county_toml(shown, ports, state))
    return [
        child(phrases.BROKER, "broker", broker.command(ports.broker, pid_file), lambda: listens(ports.broker)),
        child(phrases.COUNTY, "county", ours("county", county), lambda: answers_health(ports.county)),
        *(window(each) for each in shown),
    ]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _log(state: Path, key: str) -> Path:
    """Where a child writes; one that grew large in earlier runs is put aside once, over the one before it."""
    log = state / "logs" / f"{key}.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    return log


def _start(children: list[Child], signals: Signals, state: Path) -> None:
    """Start every child and wait until each has answered; one that ends before it ever answered ends the demo."""
    for child in children:
        child.start()
    deadline = time.monotonic() + READY_S
    while not signals.ending and not all(child.was_ready for child in children):
        for child in children:
            if child.ended() is not None:
                raise CannotRun(phrases.refused(child.name, child.last_line(), child.log))
            child.became_ready()
        if time.monotonic() > deadline:
            late = [child.name for child in children if not child.was_ready]
            raise CannotRun(phrases.too_slow(late, READY_S, state / "logs"))
        signals.wait(LOOK_S)


def _look_after(children: list[Child]) -> None:
    """Start again, after a while, what has ended: as systemd does at a counter."""
    for child in children:
        if child.ended() is not None:
            _say(phrases.restarting(child.name, RESTART_S))
        if child.process is None and time.monotonic() >= child.due:
            child.start()
        if child.became_ready():
            _say(phrases.back(child.name))


def _announce(ports: Ports) -> None:
    _say(phrases.READY)
    lines = addresses(ports)
    widest = max(_columns(name) for name, _ in lines)
    for name, address in lines:
        _say(f"{name}{' ' * (widest - _columns(name) + 2)}{address}")


def _columns(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
