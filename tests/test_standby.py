"""A window whose ledger cannot be opened says so on its screens, and becomes a window as soon as it can be."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance import standby
from appliance.ledger_file import LedgerUnusable
from appliance.loops import Loops
from appliance.panel import phrases
from appliance.settings import load_window
from appliance.settings.window import LedgerPlace
from appliance.standby import Standby
from tests.conftest import until
from tests.ground_browser import Eyes, chromium, faint
from tests.ground_courier.waiting import free_port
from tests.ground_panel import SETTINGS
from tests.test_run import Process

# A card of its own in a mount namespace: for any user, really read-only or really full, until it is told to be mended.
MOUNTED = """
mount -t tmpfs -o size=2m card "$CARD" || exit 9
eval "$BREAK"
{ read -r _ <"$MEND_WHEN"; eval "$MEND"; } &
exec "$@"
"""
READ_ONLY = {"BREAK": 'mount -o remount,ro "$CARD"', "MEND": 'mount -o remount,rw "$CARD"'}
FULL = {"BREAK": 'cat /dev/zero >"$CARD/filler" 2>&-', "MEND": 'rm "$CARD/filler"'}


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Process]:
    window = Process(tmp_path)
    (tmp_path / "card").mkdir()
    os.mkfifo(tmp_path / "mend")
    window.change(f'path = "{tmp_path}/ledger.db"', f'path = "{tmp_path}/card/ledger.db"')
    yield window
    if window.process is not None and not window.ended():
        window.stop(signal.SIGKILL)


def start_on_card(window: Process, card: dict[str, str]) -> None:
    place = {"CARD": str(window.place / "card"), "MEND_WHEN": str(window.place / "mend")}
    within = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "sh"]
    window.start(*within, **place, **card)


def mend(window: Process) -> None:
    (window.place / "mend").write_text("now\n")


def serves(window: Process) -> bool:
    """Whether the window itself answers; between the two programs of one process nobody does."""
    try:
        return bool(window.health()["ok"])
    except OSError:
        return False


@pytest.mark.parametrize(("card", "word"), [(READ_ONLY, "只读"), (FULL, "已满")], ids=["read-only", "full"])
def test_a_card_that_takes_nothing_at_the_start_is_said_on_both_screens_and_mended_without_a_hand(
    window: Process, card: dict[str, str], word: str
) -> None:
    start_on_card(window, card)
    status, said = window.ask("GET", "/healthz")
    assert status == 503
    assert word in json.loads(said)["why"]
    status, page = window.ask("GET", "/")
    assert status == 503
    assert word in page
    assert phrases.NO_LEDGER_TITLE in page
    status, page = window.ask("GET", "/display")
    assert status == 503
    assert phrases.FAULT in page
    assert "ledger" not in page
    assert window.ask("POST", "/act/arrive", "number=0107")[0] == 503
    mend(window)
    until(lambda: serves(window), 30, "the window does not come")
    window.post("/act/arrive", "number=0107")
    assert window.stop() == 0
    assert "Traceback" not in window.journal()


def test_the_open_page_gives_way_to_the_window_s_own(window: Process) -> None:
    start_on_card(window, READ_ONLY)
    with chromium() as browser:
        eyes = Eyes(browser, f"http://127.0.0.1:{window.port}")
        page = eyes.go("/")
        assert page.get_by_role("alert").filter(has_text="只读").is_visible()
        assert faint(page) == []
        mend(window)
        page.locator("#arrive-0107").wait_for(timeout=30_000)
        eyes.close()


def test_a_ledger_of_a_newer_program_is_said_on_the_screen(window: Process) -> None:
    window.change("/card/ledger.db", "/ledger.db")
    with sqlite3.connect(window.place / "ledger.db") as ledger:
        ledger.execute("PRAGMA user_version = 99")
    window.start()
    assert "请升级程序" in window.ask("GET", "/")[1]
    assert "请升级程序" in window.journal()
    assert window.stop() == 0


@pytest.mark.parametrize("told", [False, True])
def test_a_signal_as_the_ledger_is_opened_is_not_lost(
    window: Process, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Between the page and the window the program ends as any other does."""

    class Told(Standby):
        def _try(self) -> None:
            super()._try()
            if told and self._opened:
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(standby, "RETRY_S", 0.01)
    try:
        assert Told(load_window(window.settings), LedgerUnusable("closed")).run() is not told
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        Loops.leave_signals()


def test_in_a_sandbox_the_program_ends_now_and_then_to_see_the_card_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's mounts stay as they were at its start; systemd starts another, which sees what was made writable."""
    monkeypatch.setattr(standby, "RETRY_S", 0.01)
    monkeypatch.setattr(standby, "SANDBOX_S", 0.1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    (tmp_path / "file").touch()
    settings = msgspec.structs.replace(
        SETTINGS,
        ledger=LedgerPlace(path=tmp_path / "file" / "ledger.db"),
        panel=msgspec.structs.replace(SETTINGS.panel, port=free_port()),
    )
    waiting = standby.Standby(settings, LedgerUnusable("cannot be opened"))
    assert not waiting.run()
    assert waiting.sound
