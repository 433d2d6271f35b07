"""A look at one window before it serves anyone: settings, ledger, pins, printer, camera, fonts, broker, a line each."""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from appliance.clock import Clock
from appliance.devices.condition import Condition
from appliance.devices.pins import Pins, PinsAbsent
from appliance.fittings import address_of, camera_of, glyphs_of, printer_of, profile_of
from appliance.ledger_check import check
from appliance.ledger_file import LedgerUnusable, finding_of
from appliance.ledger_file import unusable as cannot_open
from appliance.panel.phrases import DEVICE_REASONS
from appliance.service_user import Installed
from appliance.settings import SettingsWrong, WindowSettings

RARE = "㛃䶮𬭎𠮷"
REACH_S = 3.0
TRIAL_BYTES = 4096

Finding = tuple[str, bool, str]


def examine(settings: WindowSettings) -> int:
    """Print what was found, a line each; 0 when everything is in order, 1 when something is not."""
    looks: tuple[Callable[[WindowSettings], Finding], ...] = (
        _ledger,
        _clock,
        _pins,
        _printer,
        _camera,
        _fonts,
        _broker,
    )
    findings = [look(settings) for look in looks]
    for subject, well, words in findings:
        print(f"{'正常' if well else '异常'}  {subject}：{words}")
    return 0 if all(well for _, well, _ in findings) else 1


def _ledger(settings: WindowSettings) -> Finding:
    path = settings.ledger.path
    try:
        _write(path.parent)
        if not path.exists():
            return "台账", True, f"{path} 还没有，启动时建立"
        wrong = _wrong_with(path, settings.window.id)
    except LedgerUnusable as unusable:
        return "台账", False, str(unusable)
    except (sqlite3.OperationalError, OSError) as error:
        return "台账", False, str(cannot_open(path, error))
    return "台账", not wrong, wrong or f"{path} 完好，可以写入"


def _wrong_with(path: Path, window: str) -> str:
    # As the last to close, a connection that may write leaves nothing beside the file.
    with closing(sqlite3.connect(path)) as holder:
        finding = finding_of(path, window)
        if finding is not None:
            return finding.words
        holder.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return check(path, lambda _: False).damage


def _write(folder: Path) -> None:
    """See whether the card takes anything; nothing is left. Raises OSError.

    Of a folder that comes with the first start only the place is looked at: the service's user may not write there.
    """
    if not folder.exists():
        place = next(above for above in folder.parents if above.exists())
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, "Read-only file system")
        return
    with tempfile.TemporaryFile(dir=folder) as trial:
        trial.write(bytes(TRIAL_BYTES))
        trial.flush()
        os.fsync(trial.fileno())


def _clock(settings: WindowSettings) -> Finding:
    clock = Clock(settings.clock.source)
    clock.look()
    if clock.trouble:
        return "时钟", False, f"准不准查不出来（{clock.trouble}）"
    return "时钟", True, "已校准" if clock.synced else "还没有校准；校准以前，收件时要由经办人填写日期"


def _pins(settings: WindowSettings) -> Finding:
    pins = Pins(settings.pad.factory)
    try:
        pins.factory()
    except PinsAbsent as absent:
        chips = sorted(Path("/dev").glob("gpiochip*"))
        forbidden = next(filter(None, map(Installed().forbids, chips)), "")
        return "GPIO", False, f"打不开：{forbidden or absent}"
    finally:
        pins.close()
    return "GPIO", True, "可以打开"


def _printer(settings: WindowSettings) -> Finding:
    kind = settings.printer.kind
    if kind in ("none", "bench"):
        return "打印机", True, "没有设置打印机" if kind == "none" else "模拟台的打印机"
    forbidden = "" if kind == "network" else Installed().forbids(settings.printer.path)
    if forbidden:
        return "打印机", False, f"不能使用：{forbidden}"
    return _condition("打印机", printer_of(settings, None).condition())


def _camera(settings: WindowSettings) -> Finding:
    camera = camera_of(settings)
    return ("高拍仪", True, "没有设置高拍仪") if camera is None else _condition("高拍仪", camera.condition())


def _condition(subject: str, found: Condition) -> Finding:
    words = {"ok": "可以使用", "bad": "不能使用", "unknown": "没有应答，但不妨碍使用"}[found.state]
    return subject, found.state != "bad", f"{words}{_why(found.reason, found.detail)}"


def _why(reason: str, detail: str) -> str:
    """The reason in words, and what the system said, in brackets."""
    said = [DEVICE_REASONS.get(reason, reason).removeprefix("的"), detail]
    return f"（{'；'.join(filter(None, said))}）" if any(said) else ""


def _fonts(settings: WindowSettings) -> Finding:
    glyphs = glyphs_of(settings)
    lacking = [char for char in RARE if not glyphs.has(char)]
    if lacking:
        return "字库", False, f"缺少生僻字 {' '.join(lacking)}，请安装 fonts-noto-cjk 和 fonts-hanazono"
    return "字库", True, f"能画 {' '.join(RARE)}"


def _broker(settings: WindowSettings) -> Finding:
    from appliance.courier.dial import reach, trust

    try:
        address = address_of(settings, None)
    except SettingsWrong as wrong:
        return "县级消息服务器", False, str(wrong)
    try:
        reach(address, trust(address), REACH_S, REACH_S).close()
    except OSError as error:
        return "县级消息服务器", False, f"{address} 连不上（{error}）；窗口照常服务，联通后补传"
    return "县级消息服务器", True, f"{address} 连得上"


def self_test(settings: WindowSettings) -> int:
    """Print the self-test page; 0 when the printer confirmed it."""
    from appliance.paper import escpos
    from appliance.paper.layout import lay_out
    from appliance.paper.slips import self_test as page

    if settings.printer.kind in ("none", "bench"):
        print("设置里没有真打印机，自检页没有打印。")
        return 1
    glyphs, profile = glyphs_of(settings), profile_of(settings)
    outcome = printer_of(settings, None).carry_out(
        escpos.paint(lay_out(page(profile.cells), profile.cells, glyphs.has), profile, glyphs.dots)
    )
    words = {"confirmed": "自检页已打印", "unconfirmed": "自检页已发送，打印机没有确认", "failed": "自检页没有打印"}
    print(f"{words[outcome.state]}{_why(outcome.reason, outcome.detail)}")
    return 0 if outcome.state == "confirmed" else 1


def wiring_table(settings: WindowSettings) -> str:
    """The wiring table of these settings."""
    from appliance.wiring import table, wiring

    return table(wiring(settings))
