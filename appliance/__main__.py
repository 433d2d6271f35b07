"""The commands: run, county, demo, doctor, screen."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import __version__
from appliance.terminal import in_utf8, speak_chinese

if TYPE_CHECKING:
    from appliance.ledger_file import LedgerUnusable
    from appliance.server import CannotListen
    from appliance.settings import WindowSettings

WRONG_SETTINGS = 2
CANNOT_START = 1


def main(arguments: list[str] | None = None) -> int:
    """Do one command; the exit status: 0 well ended, 1 cannot start or failed, 2 wrong settings."""
    if arguments is None:
        in_utf8()
        speak_chinese()
        arguments = sys.argv[1:]
    given = _parser(arguments).parse_args(arguments)
    logging.basicConfig(level=given.log.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    command: Callable[[argparse.Namespace], int] = given.command
    return command(given)


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="appliance", description="医保服务窗口一体机：窗口端、县级端、演示和自检。")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--log", default="info", choices=["debug", "info", "warning", "error"], help="日志详细程度")
    commands = parser.add_subparsers(required=True, metavar="命令")
    _add(commands, "run", "运行一个窗口", _run, "/etc/appliance/window.toml")
    _add(commands, "county", "运行县级端", _county, "/etc/appliance/county.toml")
    doctor = _add(commands, "doctor", "检查一个窗口的设置和设备，一行一条", _doctor, "/etc/appliance/window.toml")
    doctor.add_argument("--wiring", action="store_true", help="只打印接线表")
    doctor.add_argument("--print", action="store_true", dest="self_test", help="打印自检页")
    _add_screen(commands)
    demo = commands.add_parser("demo", help="在本机运行一个县和两个窗口的演示")
    demo.set_defaults(command=_demo)
    # The demo's own options cost 60 ms of imports, which a window's keys need not wait for.
    if "demo" in words:
        _demo_options(demo)
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: str,
    command: Callable[[argparse.Namespace], int],
    settings: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=words, description=words)
    parser.add_argument("--settings", type=Path, default=Path(settings), help=f"设置文件，默认 {settings}")
    parser.set_defaults(command=command)
    return parser


def _add_screen(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    words = "在一块屏幕上显示一个页面，并看护它（由 kiosk.conf 启动）"
    screen = commands.add_parser("screen", help=words, description=words)
    screen.add_argument("name", choices=["resident", "clerk"], help="哪一块屏幕")
    screen.add_argument("address", help="页面的地址，例如 http://127.0.0.1:8080/display")
    screen.add_argument("flags", nargs="*", help="写在 -- 之后，原样交给浏览器")
    screen.set_defaults(command=_screen)


def _run(given: argparse.Namespace) -> int:
    from appliance.ledger_file import LedgerUnusable
    from appliance.run import Window
    from appliance.settings import SettingsWrong

    try:
        settings = _window_settings(given.settings)
        while True:
            try:
                window = Window(settings)
                break
            except LedgerUnusable as unusable:
                if (status := _stand_by(settings, unusable)) is not None:
                    return status
    except SettingsWrong as wrong:
        return _say(wrong, WRONG_SETTINGS)
    return _serve(window.run)


def _stand_by(settings: "WindowSettings", unusable: "LedgerUnusable") -> int | None:
    """Say here and on the screens why there is no window; None once there can be one, else the exit status."""
    from appliance.server import CannotListen
    from appliance.standby import Standby

    _say(unusable, CANNOT_START)
    standby = Standby(settings, unusable)
    try:
        if standby.run():
            return None
    except CannotListen as taken:
        # Often another program has the screens, and this one was started by hand beside it.
        return _say(_port_taken(taken), CANNOT_START)
    return 0 if standby.sound else CANNOT_START


def _window_settings(path: Path) -> "WindowSettings":
    """The settings, also checked for what the settings themselves do not know: the makes of printers."""
    from appliance.fittings import profile_of
    from appliance.paper.profile import UnknownProfile
    from appliance.settings import SettingsWrong, load_window

    settings = load_window(path)
    try:
        profile_of(settings)
    except UnknownProfile as unknown:
        makes = "、".join(unknown.known)
        raise SettingsWrong(
            f"{path}：[printer] make 写的是 {unknown.name}，没有这个型号，应为 {makes} 之一。"
        ) from unknown
    return settings


def _serve(run: Callable[[], bool]) -> int:
    try:
        return 0 if run() else CANNOT_START
    # What it cannot start with is a sentence of its own class; pages load late, so their module is named late.
    except Exception as error:
        from appliance.server import CannotListen
        from appliance.settings import SettingsWrong

        if isinstance(error, CannotListen):
            return _say(_port_taken(error), CANNOT_START)
        if isinstance(error, SettingsWrong):
            return _say(error, WRONG_SETTINGS)
        raise


def _port_taken(error: "CannotListen") -> str:
    return f"端口 {error.port} 不能使用（{error.host}，{error.why}）：可能已有另一个程序在用它。"


def _county(given: argparse.Namespace) -> int:
    from appliance.county.run import run_county
    from appliance.settings import SettingsWrong, load_county

    try:
        settings = load_county(given.settings)
    except SettingsWrong as wrong:
        return _say(wrong, WRONG_SETTINGS)
    return _serve(lambda: run_county(settings))


def _doctor(given: argparse.Namespace) -> int:
    from appliance.doctor import examine, self_test, wiring_table
    from appliance.service_user import Installed
    from appliance.settings import SettingsWrong

    for sentence in Installed().become(given.settings):
        # The table of pins may be going into a file.
        print(sentence, file=sys.stderr if given.wiring else sys.stdout)
    try:
        settings = _window_settings(given.settings)
    except SettingsWrong as wrong:
        return _say(wrong, WRONG_SETTINGS)
    if given.wiring:
        print(wiring_table(settings))
        return 0
    return self_test(settings) if given.self_test else examine(settings)


def _screen(given: argparse.Namespace) -> int:
    from appliance.screen import Screen, show

    return show(Screen(given.name, given.address, tuple(given.flags)))


def _demo(given: argparse.Namespace) -> int:
    from appliance.demo import run_demo

    return run_demo(given)


def _demo_options(parser: argparse.ArgumentParser) -> None:
    from appliance.demo import add_options

    add_options(parser)


def _say(sentence: object, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
