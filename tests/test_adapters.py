"""A library that raises anything anywhere is its device's fault with a sentence, and it is tried again."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pylopdf_fonts_zh_cn
import pytest

from appliance import loops as loops_of
from appliance.counter import Counter
from appliance.device_loops import CameraLoop, fails
from appliance.devices.camera import BenchCamera, NoShot, PiCamera, Shot
from appliance.devices.condition import Condition
from appliance.devices.paper_bench import BenchPrinter
from appliance.devices.ports import LinePrinterPort, NetworkPort, SerialPort
from appliance.devices.press import Failing, FontsFail, FontsWork, Press, Queued, Working
from appliance.devices.printer import EscPosPrinter
from appliance.devices.vitals import Vitals, vitals
from appliance.fittings import no_makes, profile_of
from appliance.guard import LONGEST, DeviceTrouble, guarded, let_go, words
from appliance.ledger import Ledger
from appliance.loops import Loops
from appliance.panel import phrases
from appliance.paper.document import Document, Text, encode
from appliance.paper.glyphs import Glyphs
from appliance.paper.profile import SMALL
from appliance.receipts import PaperTray, reports
from appliance.settings import load_window
from appliance.window.happenings import ClerkArrives
from tests.conftest import until
from tests.ground_adapters.evil import LIBRARIES, RAISED, Evil, point
from tests.ground_printer import JOB
from tests.test_counter import take_in
from tests.test_run import SETTINGS

CARRIED = pylopdf_fonts_zh_cn.sans_path()
OURS = ("picamera2", "serial")


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evil]:
    """The libraries of tests/ground_adapters on the path, with a point at everything they do."""
    evil = Evil(tmp_path / "evil")
    monkeypatch.setenv("EVIL", str(evil.place))
    monkeypatch.syspath_prepend(LIBRARIES)
    for name in OURS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield evil
    for name in OURS:
        sys.modules.pop(name, None)


# ---- the guard ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_a_library_raises_becomes_one_exception_with_words_that_every_page_and_file_takes(raised: str) -> None:
    with pytest.raises(DeviceTrouble) as found, guarded("error"):
        raise RAISED[raised]
    assert type(RAISED[raised]).__name__ in found.value.detail
    assert found.value.detail.isprintable()
    assert len(found.value.detail) <= LONGEST
    msgspec.json.encode(found.value.detail)


def test_a_trouble_with_a_reason_passes_the_guard_as_it_is() -> None:
    with pytest.raises(DeviceTrouble) as found, guarded("error"), guarded("no_library"):
        raise ValueError
    assert (found.value.reason, found.value.detail) == ("no_library", "ValueError")


def test_an_exception_without_text_has_its_name() -> None:
    assert words(SystemExit()) == "SystemExit"


@pytest.mark.parametrize("raised", RAISED)
def test_what_does_not_close_is_left(raised: str) -> None:
    def close() -> None:
        raise RAISED[raised]

    assert not let_go("it", close)


# ---- the camera -----------------------------------------------------------------------------------------------------

SEEING = ("import", "global_camera_info")
TAKING = ("Picamera2", "create_still_configuration", "configure", "start", "capture_file", "stop", "close")


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("function", [*SEEING, *TAKING])
def test_a_camera_that_raises_anything_anywhere_is_a_reason_and_works_again(
    evil: Evil, function: str, raised: str
) -> None:
    camera = PiCamera()
    evil.at(f"picamera2.{function}", raised)
    assert camera.condition().state == ("bad" if function in SEEING else "ok")
    shot = camera.capture()
    assert isinstance(shot, NoShot)
    assert shot.reason == ("no_library" if function == "import" else "error")
    evil.mend(f"picamera2.{function}")
    assert camera.condition() == Condition("ok")
    assert camera.capture() == Shot(b"\xff\xd8picture\xff\xd9")


def test_a_camera_that_raises_is_a_sentence_and_a_fact_and_recovers(evil: Evil, counter: Counter) -> None:
    ended = threading.Event()
    ended.set()
    loop = CameraLoop(counter, PiCamera(), ended)
    evil.at("picamera2.import", "SystemExit")
    loop.step()
    (trouble,) = counter.view().troubles
    assert phrases.trouble(trouble) == "高拍仪缺少驱动程序，或驱动程序不能用，请报告县医保局。"
    evil.mend("picamera2.import")
    loop.step()
    assert counter.view().troubles == ()
    assert [kept.type for kept in counter.ledger.unsent(9)] == ["device.failed", "device.recovered"]


def test_a_bench_camera_whose_scene_is_no_file_is_a_reason(tmp_path: Path) -> None:
    assert isinstance(BenchCamera(tmp_path / "nul\0").capture(), NoShot)


# ---- the printer's ports --------------------------------------------------------------------------------------------


class EvilPort(BenchPrinter):
    """The bench's printer at the end of a wire whose every operation may raise."""

    def open(self) -> None:
        point("port.open")
        super().open()

    def write(self, data: bytes, wait: float) -> int:
        point("port.write")
        return super().write(data, wait)

    def unsent(self) -> int:
        point("port.unsent")
        return super().unsent()

    def read(self, wait: float) -> bytes:
        point("port.read")
        return super().read(wait)

    def discard_input(self) -> None:
        point("port.discard_input")
        super().discard_input()

    def close(self) -> None:
        point("port.close")


def printer(port: Any) -> EscPosPrinter:
    return EscPosPrinter(port, answer_s=0.05, confirm_s=0.2, mute_s=0.05, slack_s=0.1)


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("method", ["open", "write", "unsent", "read", "discard_input", "close"])
def test_a_port_that_raises_anything_anywhere_is_a_reason_and_no_paper_is_called_printed(
    evil: Evil, method: str, raised: str
) -> None:
    wire = printer(port := EvilPort())
    evil.at(f"port.{method}", raised)
    asked = method not in ("unsent", "close")
    assert wire.condition().state == ("bad" if asked else "ok")
    outcome = wire.carry_out(JOB)
    assert outcome.state == {"unsent": "unconfirmed", "close": "confirmed"}.get(method, "failed")
    assert (outcome.reason == "") == (method == "close")
    evil.mend(f"port.{method}")
    assert wire.condition() == Condition("ok")
    assert wire.carry_out(JOB).state == "confirmed"
    assert len(port.papers()) == (1 if asked else 2)


@pytest.fixture
def line() -> Iterator[str]:
    """A tty of this machine that nobody answers on."""
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("function", ["import", "Serial", "fileno", "close"])
def test_a_pyserial_that_raises_anything_anywhere_is_a_reason_and_the_port_opens_again(
    evil: Evil, line: str, function: str, raised: str
) -> None:
    wire, held = printer(SerialPort(line, 115_200)), len(tuple(Path("/proc/self/fd").iterdir()))
    evil.at(f"serial.{function}", raised)
    found = wire.condition()
    expected = "unknown" if function == "close" else "bad"
    assert found.state == expected
    if function == "import":
        assert found.reason == "no_library"
    elif raised in ("termios.error", "OSError") and function != "close":
        assert found.reason == "unplugged", "the number in it is EIO"
    evil.mend(f"serial.{function}")
    assert wire.condition().reason == "no_answer"
    assert len(tuple(Path("/proc/self/fd").iterdir())) == held, "no descriptor is left behind"


def test_a_path_that_is_no_tty_is_the_wrong_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    places = (tmp_path, tmp_path / "file", tmp_path / "fifo", Path("/dev/null"))
    assert [printer(SerialPort(str(place))).condition().reason for place in places] == ["wrong_port"] * 4


@pytest.mark.parametrize(
    "port",
    [
        NetworkPort("x" * 70 + ".example"),
        NetworkPort("a..b"),
        NetworkPort("nul\0"),
        NetworkPort("127.0.0.1", 70_000),
        SerialPort("/dev/nul\0"),
        LinePrinterPort("/dev/nul\0"),
        LinePrinterPort("\udcff"),
    ],
)
def test_an_address_that_no_system_takes_is_a_reason(port: NetworkPort | SerialPort | LinePrinterPort) -> None:
    assert printer(port).condition().state == "bad"
    assert printer(port).carry_out(JOB).state == "failed"


def test_a_wire_closed_underneath_is_a_reason(line: str) -> None:
    class Torn(SerialPort):
        def discard_input(self) -> None:
            os.close(self._fd)
            super().discard_input()

    assert printer(Torn(line)).condition().state == "bad"


# ---- papers and fonts -----------------------------------------------------------------------------------------------


class OddGlyphs(Glyphs):
    """Fonts from which drawing raises: what Pillow may do inside."""

    def __init__(self) -> None:
        super().__init__(())

    def has(self, char: str) -> bool:
        point("glyphs.has")
        return super().has(char)


class Tray:
    """A tray in memory."""

    def __init__(self) -> None:
        self.waiting: list[Queued] = []
        self.life: list[tuple[str, str]] = []

    def put(self, paper: str, text: str) -> None:
        self.waiting.append(Queued(paper, encode(Document((Text(text),)))))

    def next_queued(self) -> Queued | None:
        return self.waiting[0] if self.waiting else None

    def sending(self, paper: str) -> bool:
        del self.waiting[0]
        return bool(paper)

    def came_out(self, paper: str, outcome: Any) -> None:
        self.life.append((paper, f"{outcome.state} {outcome.reason}".strip()))


@pytest.mark.parametrize("raised", RAISED)
def test_a_paper_that_cannot_be_painted_fails_with_a_fault_and_the_next_one_is_printed(evil: Evil, raised: str) -> None:
    tray, said = Tray(), list[Any]()
    press = Press(printer(BenchPrinter()), SMALL, OddGlyphs(), tray, said.append)
    press.step()
    evil.at("glyphs.has", raised)
    tray.put("1", "王㛃")
    press.step()
    assert tray.life == [("1", "failed unreadable")]
    assert [one.reason for one in said if isinstance(one, Failing)] == ["unreadable"]
    evil.mend("glyphs.has")
    tray.put("2", "甲")
    press.step()
    assert tray.life[1:] == [("2", "confirmed")]
    assert said[-1] == Working()


FONTS: dict[str, bytes | None] = {
    "absent": None,
    "empty": b"",
    "noise": bytes(range(256)) * 16,
    "a collection of nothing": b"ttcf" + bytes(64),
    "no cmap": b"\0\1\0\0\0\0" + bytes(6),
}


@pytest.mark.parametrize("suffix", [".ttf", ".ttc"])
@pytest.mark.parametrize("font", FONTS)
def test_an_odd_font_is_a_fault_and_papers_are_printed_with_a_mark(tmp_path: Path, font: str, suffix: str) -> None:
    path = tmp_path / f"odd{suffix}"
    if (content := FONTS[font]) is not None:
        path.write_bytes(content)
    glyphs, tray, said = Glyphs([path]), Tray(), list[Any]()
    glyphs.look()
    press = Press(printer(bench := BenchPrinter()), SMALL, glyphs, tray, said.append)
    tray.put("1", "王㛃")
    press.step()
    assert tray.life == [("1", "confirmed")]
    assert len(bench.papers()) == 1
    assert len([one for one in said if isinstance(one, FontsFail)]) == 1
    assert FontsWork() not in said


def test_a_font_that_can_be_read_again_is_no_fault_any_more(tmp_path: Path) -> None:
    path = tmp_path / "font.otf"
    glyphs, said = Glyphs([path]), list[Any]()
    glyphs.look()
    press = Press(printer(BenchPrinter()), SMALL, glyphs, Tray(), said.append)
    press.step()
    assert "FileNotFoundError" in said[0].detail
    path.write_bytes(CARRIED.read_bytes())
    press.step()
    assert said[-1] == FontsWork()
    assert glyphs.has("㛃")


def test_the_fonts_that_a_clerk_cannot_use_are_a_sentence(counter: Counter) -> None:
    reports(counter)(FontsFail("HanaMinA.ttf: OSError"))
    (trouble,) = counter.view().troubles
    assert phrases.trouble(trouble).startswith("字库文件读不出来")
    reports(counter)(FontsWork())
    assert counter.view().troubles == ()


@pytest.mark.parametrize("raised", ["ValueError", "SystemExit", "Unspeakable"])
def test_a_receipt_that_cannot_be_written_out_is_unreadable_and_not_the_next_for_ever(
    counter: Counter, raised: str
) -> None:
    def write(_case: object, _copy: int) -> Document:
        raise RAISED[raised]

    counter.handle(ClerkArrives(at=counter.moment(), number="0107"))
    take_in(counter, "f")
    press = Press(printer(BenchPrinter()), SMALL, Glyphs(()), PaperTray(counter, write), lambda _word: None)
    press.step()
    (paper,) = counter.ledger.papers()
    assert (paper.state, paper.reason) == ("failed", "unreadable")
    assert counter.ledger.next_paper() is None


def test_without_a_table_of_makes_the_window_starts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "escpos").mkdir()
    (tmp_path / "escpos" / "__init__.py").write_text("")
    (tmp_path / "escpos" / "capabilities.json").write_text("{")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "escpos", raising=False)
    file = tmp_path / "window.toml"
    words = SETTINGS.format(place=tmp_path, broker=1883, port=8080)
    file.write_text(words.replace("baud = 115200", 'make = "TM-T20II"\ncolumns = 48'))
    settings = load_window(file)
    missing = no_makes(settings)
    assert missing is not None
    assert missing.reason == "no_library"
    assert profile_of(settings).cells == 48
    tray, said = Tray(), list[Any]()
    press = Press(printer(BenchPrinter()), profile_of(settings), Glyphs(()), tray, said.append, lacking=missing)
    tray.put("1", "甲")
    press.step()
    assert tray.life == [("1", "confirmed")]
    assert said == [Failing("no_library", missing.detail)]


# ---- the machine itself ---------------------------------------------------------------------------------------------


def test_a_machine_that_tells_nothing_of_itself_is_unknown(tmp_path: Path) -> None:
    assert vitals(tmp_path / "gone").disk_free_mb is None
    assert vitals(tmp_path / "nul\0") == Vitals(None, vitals(tmp_path).temperature_c, vitals(tmp_path).throttled)


def test_a_card_that_cannot_be_looked_at_ends_no_loop(ledger: Ledger) -> None:
    class Dying(type(ledger.path)):  # type: ignore[misc]  # the class of paths of this system
        def stat(self, **_how: object) -> os.stat_result:
            raise OSError(5, "Input/output error")

    ledger.path = Dying(ledger.path)
    ledger.tidy()


# ---- the loops that drive them --------------------------------------------------------------------------------------


class Told:
    """What was said of a device's loop."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str]] = []
        self.forgot = 0

    def fails(self, reason: str, detail: str) -> None:
        self.words.append((reason, detail))

    def forget(self) -> None:
        self.forgot += 1


def test_a_hung_library_is_its_devices_fault_and_the_watchdog_is_fed(counter: Counter) -> None:
    loops, gate, told, fed = Loops(), threading.Event(), Told(), list[int]()

    def look() -> None:
        gate.wait(30)
        loops.ended.wait(0.01)

    def press() -> None:
        loops.ended.wait(0.01)

    loops.add("pad", press)
    loops.add_device("camera", look, fails=told.fails, forgets=told.forget, allowance=0.05)
    loops.start()
    waiter = threading.Thread(target=lambda: loops.wait(lambda: fed.append(1), every=0.01))
    waiter.start()
    until(lambda: told.words)
    before = len(fed)
    until(lambda: len(fed) > before + 5, what="the watchdog is fed")
    assert loops.late() == ["camera"]
    assert loops.late(vital=True) == []
    assert told.words == [("hung", "for more than 0.05 s")]
    gate.set()
    until(lambda: told.forgot, what="whoever reports for the device says anew how it is")
    assert told.forgot == 1
    loops.stop()
    waiter.join(5)
    loops.join()
    assert loops.sound


def test_a_hung_camera_is_a_sentence_at_the_window(counter: Counter) -> None:
    fails(counter, "camera")("hung", "for more than 120 s")
    (trouble,) = counter.view().troubles
    assert phrases.trouble(trouble).startswith("高拍仪很久没有反应")


@pytest.mark.parametrize("raised", RAISED)
def test_a_devices_loop_that_raises_in_spite_of_all_goes_on_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    def step() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise RAISED[raised]
        loops.ended.wait(0.01)

    monkeypatch.setattr(loops_of, "PAUSE_S", 0.01)
    loops, told, rounds = Loops(), Told(), list[int]()
    loops.add_device("printer", step, fails=told.fails, forgets=told.forget)
    loops.start()
    until(lambda: len(rounds) > 2)
    loops.stop()
    loops.join()
    assert loops.sound
    assert [reason for reason, _ in told.words] == ["error"]
    assert told.forgot == 1
