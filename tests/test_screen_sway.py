"""kiosk.conf as it ships, in a real sway with two screens and two real browsers: each page on its own screen."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.ground_screen import ROOT, Site, browser_of, family, short_place

COMES_S = 40.0
PYTHON = "/usr/bin/python3"
SOMEBODY = 61_234
"""sway does not run as root, and every other user must be able to read what it starts."""


class Screens:
    """A sway without hardware, and what it shows where."""

    def __init__(self, place: Path, port: int) -> None:
        self.place = place
        for part in ("appliance", "web"):
            shutil.copytree(ROOT / part, place / part)
        conf = (ROOT / "firmware_config/os/kiosk.conf").read_text(encoding="utf-8")
        (place / "kiosk.conf").write_text(self._of_this_machine(conf, port), encoding="utf-8")
        if os.getuid() == 0:
            for path in (place, *place.rglob("*")):
                os.chown(path, SOMEBODY, SOMEBODY)
        words = ["sway", "--config", str(place / "kiosk.conf")]
        if os.getuid() == 0:
            words = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", *words]
        self.said = (place / "said").open("wb")
        self.sway = subprocess.Popen(words, env=self._environment(), stderr=self.said)

    def _of_this_machine(self, conf: str, port: int) -> str:
        """The names of its outputs, its port and its Python; nothing else."""
        changes = (
            (r"^set \$resident .*$", "set $resident HEADLESS-1"),
            (r"^set \$clerk .*$", "set $clerk HEADLESS-2"),
            (r":8080$", f":{port}"),
            ("/opt/appliance/venv/bin/python -I", PYTHON),
            (r"(^exec \$watch .*) \|\|", r"\1 -- --no-sandbox ||"),
        )
        for old, new in changes:
            conf, times = re.subn(old, new, conf, flags=re.MULTILINE)
            assert times, old
        return conf

    def _environment(self) -> dict[str, str]:
        headless = {"WLR_BACKENDS": "headless", "WLR_HEADLESS_OUTPUTS": "2", "WLR_RENDERER": "pixman"}
        place = {"XDG_RUNTIME_DIR": str(self.place), "HOME": str(self.place), "PYTHONPATH": str(self.place)}
        return {"PATH": os.environ["PATH"], "WLR_LIBINPUT_NO_DEVICES": "1", **headless, **place}

    def shows(self) -> dict[str, tuple[str, str, bool]]:
        """The title, the workspace and whether it is all that is seen, by the output that a window is on."""
        doors = list(self.place.glob("sway-ipc.*.sock"))
        words = ["swaymsg", "--socket", str(doors[0]) if doors else "", "--raw", "--type", "get_tree"]
        done = subprocess.run(words, capture_output=True, check=False, timeout=20)
        tree: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"nodes": []}
        return {
            output["name"]: (window["name"], workspace["name"], window["fullscreen_mode"] == 1)
            for output in tree["nodes"]
            for workspace in output["nodes"]
            for window in workspace["nodes"] + workspace["floating_nodes"]
        }

    def watcher_of(self, name: str) -> int:
        """The process that watches one screen."""
        mark = f"{PYTHON}\0-m\0appliance\0screen\0{name}\0".encode()
        (pid,) = (int(e.parent.name) for e in Path("/proc").glob("[0-9]*/cmdline") if e.read_bytes().startswith(mark))
        return pid

    def end(self) -> None:
        """Whatever still runs, ends."""
        self.sway.kill()
        self.sway.wait(10)
        self.said.close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    # It has its port from now on, and answers when the test says so.
    site.start()
    site.stop()
    yield site
    site.stop()


@pytest.fixture
def screens(site: Site) -> Iterator[Screens]:
    with short_place() as place:
        screens = Screens(place, site.port)
        yield screens
        screens.end()


def test_each_page_is_on_its_own_screen_and_what_ends_takes_the_session_along(screens: Screens, site: Site) -> None:
    waiting = {"HEADLESS-1": ("服务窗口", "resident", True), "HEADLESS-2": ("服务窗口", "clerk", True)}
    until(lambda: screens.shows() == waiting, COMES_S, str(screens.shows()))
    site.start()
    open_now = {"HEADLESS-1": ("窗口", "resident", True), "HEADLESS-2": ("窗口", "clerk", True)}
    until(lambda: screens.shows() == open_now, COMES_S, str(screens.shows()))
    assert {"/display", "/"} <= set(site.asked)

    # sway starts a program only once: with a watcher that was killed the session ends, and the unit starts it anew.
    browsers = [browser_of(screens.place / "screens" / name) for name in ("resident", "clerk")]
    os.kill(screens.watcher_of("clerk"), signal.SIGKILL)
    assert screens.sway.wait(COMES_S) == 0
    until(lambda: not [pid for browser in browsers for pid in family(browser)], COMES_S, "browsers stay")


def test_no_watcher_outlives_its_compositor(screens: Screens, site: Site) -> None:
    until(lambda: len(screens.shows()) == 2, COMES_S)
    watchers = [screens.watcher_of(name) for name in ("resident", "clerk")]
    browsers = [browser_of(screens.place / "screens" / name) for name in ("resident", "clerk")]
    screens.sway.kill()
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in watchers), COMES_S, "watchers stay")
    assert not [pid for browser in browsers for pid in family(browser)]
