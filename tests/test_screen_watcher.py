"""`appliance screen` as a process: what becomes of it when its window, its browser, its screen or itself goes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from appliance.counter import Counter
from tests.conftest import until
from tests.ground_panel import PanelGround
from tests.ground_screen import ROOT, Site, browser_of, browsers_of, family, renderers, short_place, watcher

DEAF = "http://127.0.0.1:9"
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), DEAF)
LIVE_S = 30.0


@pytest.fixture
def place() -> Iterator[Path]:
    with short_place() as place:
        yield place


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.start()
    yield site
    site.stop()


def said(place: Path) -> str:
    return (place / "said").read_text(errors="replace")


def test_a_real_page_is_live_within_thirty_seconds_of_whatever_happened(counter: Counter, place: Path) -> None:
    """One window and one watcher with its shipped times, behind proxies that lead nowhere."""
    ground = PanelGround(counter)

    def live() -> bool:
        return ground.panel.stream.watched("display")

    profile = place / "screens" / "resident"
    with watcher("resident", f"{ground.url}/display", place, **PROXIES):
        until(live, LIVE_S, "at the start")
        browser = browser_of(profile)
        # Whoever crashed ...
        for pid in renderers(browser):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not live(), LIVE_S)
        until(live, LIVE_S, "after a crash")
        assert browser_of(profile) == browser
        # ... hangs ...
        for pid in renderers(browser):
            os.kill(pid, signal.SIGSTOP)
        until(lambda: browser not in browsers_of(profile), LIVE_S)
        until(live, LIVE_S, "after a hanging renderer")
        # ... or ends, and a window that was away in the meantime.
        ground.stop()
        browser = browser_of(profile)
        os.kill(browser, signal.SIGKILL)
        until(lambda: browser not in browsers_of(profile), LIVE_S)
        ground.start_again()
        until(live, LIVE_S, "after the browser ended")
    ground.stop()


def test_a_watcher_that_is_killed_leaves_no_browser_and_the_next_takes_its_place(site: Site, place: Path) -> None:
    profile = place / "screens" / "resident"
    left = profile / "resident" / "History"
    left.parent.mkdir(parents=True)
    left.write_text("what a crash leaves behind is thrown away")
    with watcher("resident", site.address, place) as first:
        until(lambda: site.asked.count("/display") == 2, LIVE_S)
        assert not left.exists() or left.read_bytes().startswith(b"SQLite")
        browser = browser_of(profile)
        first.kill()
        with watcher("resident", site.address, place) as second:
            until(lambda: site.asked.count("/display") == 4, LIVE_S)
            assert not family(browser)
            # Ended in a friendly way it leaves nothing at once.
            browser = browser_of(profile)
            second.terminate()
            assert second.wait(10) == 128 + signal.SIGTERM
            assert not family(browser)
    assert "held by another" not in said(place)


IMPATIENT = """
import sys
from appliance.screen import Screen, show
from appliance.screen.watcher import Pace
sys.exit(show(Screen("resident", sys.argv[1], pace=Pace(lock=0.2))))
"""


def test_a_place_that_takes_no_lock_is_said_and_waited_for(site: Site, place: Path) -> None:
    (place / "screens").touch()
    with watcher("resident", site.address, place) as waiting:
        until(lambda: "no place for its lock" in said(place))
        assert waiting.poll() is None
        (place / "screens").unlink()
        until(lambda: "/display" in site.asked, LIVE_S)


def test_a_second_watcher_of_one_screen_ends_and_touches_nothing(site: Site, place: Path) -> None:
    with watcher("resident", site.address, place):
        until(lambda: site.asked.count("/display") == 2, LIVE_S)
        browser = browser_of(place / "screens" / "resident")
        env = {**os.environ, "XDG_RUNTIME_DIR": str(place), "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", IMPATIENT, site.address]
        done = subprocess.run(words, env=env, capture_output=True, check=False, timeout=20)
        assert done.returncode == 1
        assert "held by another watcher" in done.stderr.decode()
        assert browser_of(place / "screens" / "resident") == browser


@pytest.fixture
def compositor(place: Path) -> Iterator[socket.socket]:
    """What a browser would draw on: a socket on which somebody listens."""
    with socket.socket(socket.AF_UNIX) as display:
        display.bind(str(place / "wayland-1"))
        display.listen(100)
        yield display


def faint(folder: Path) -> dict[str, str]:
    """A browser that notes its start and ends at once, and the PATH on which it is found under its other name."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "chromium-browser"
    program.write_text(f'#!/bin/sh\necho "$@" >>{folder}/starts\nexit 3\n')
    program.chmod(0o755)
    return {"PATH": str(folder / "bin"), "WAYLAND_DISPLAY": "wayland-1"}


def test_a_browser_that_ends_at_once_is_started_more_and_more_rarely_and_not_without_a_screen(
    place: Path, compositor: socket.socket
) -> None:
    starts = place / "starts"
    began = monotonic()
    with watcher("clerk", "http://127.0.0.1:9/", place, **faint(place)) as process:
        until(lambda: starts.exists() and len(starts.read_text().splitlines()) == 3, 20)
        assert monotonic() - began > 1 + 2
        # The compositor is killed: its socket's file stays, and nobody listens.
        compositor.close()
        assert process.wait(20) == 0
    assert len(starts.read_text().splitlines()) == 3
    for words in starts.read_text().splitlines():
        assert "--ozone-platform=wayland" in words
        assert f"--user-data-dir={place}/screens/clerk --profile-directory=clerk" in words
        assert "--no-proxy-server" in words
    assert "the compositor is gone" in said(place)


def test_a_machine_without_a_browser_is_a_sentence(place: Path, compositor: socket.socket) -> None:
    environment = {**faint(place), "PATH": str(place)}
    with watcher("clerk", "http://127.0.0.1:9/", place, **environment):
        until(lambda: "there is no chromium and no chromium-browser on this machine" in said(place), 20)


def test_the_watcher_loads_nothing_of_the_window(place: Path) -> None:
    """Two of them run on every Pi, from its start to its end."""
    words = "import sys, appliance.__main__, appliance.screen; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"flask", "msgspec", "paho", "gpiozero", "sqlite3", "asyncio", "PIL"}
    ours = {name for name in done.stdout.split() if name.startswith("appliance.")}
    assert ours <= {"appliance.__main__", "appliance.terminal"} | {
        name for name in ours if name.startswith("appliance.screen")
    }
