"""Every sentence that wrong settings can answer with; each is one sentence and ends in 。"""

import re
from datetime import date, datetime, time
from math import isfinite
from pathlib import Path

SHOWN = 40
"""Characters of a wrong value that a sentence repeats; a terminal line has to hold the rest too."""

PRIVATE = "（含口令，不在此显示）"


def found(value: object) -> str:
    """A value the way it would be written in TOML, cut short, with nothing in it that could move a cursor."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{_plain(value)}"'
        case dict():
            return f"一张有 {len(value)} 项的表"
        case list():
            return f"一个有 {len(value)} 个值的列表"
        case float() if not isfinite(value):
            return "nan" if value != value else "inf" if value > 0 else "-inf"
        case int() if abs(value) >= 10**SHOWN:
            return "一个极长的整数"
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _plain(text: str) -> str:
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return "".join(char if char.isprintable() else "□" for char in cut)


def key(name: str) -> str:
    """A key that somebody else wrote, fit to stand in a sentence."""
    return _plain(name) if re.fullmatch(r"[A-Za-z0-9_-]+", name) and len(name) <= SHOWN else f'"{_plain(name)}"'


def _at(where: str) -> str:
    """A place before 写的是: Latin letters are set off by a space, Chinese ones are not."""
    return f"{where} " if where[-1:].isascii() else where


# ---- the file -----------------------------------------------------------------------------------------------------


def no_file(file: Path, sample: str) -> str:
    return f"设置文件 {file} 不存在，请照 firmware_config/{sample} 的样子写一份。"


def unreadable(file: Path, error: OSError | ValueError) -> str:
    why = {"PermissionError": "没有读取它的权限", "IsADirectoryError": "它是一个目录"}.get(type(error).__name__)
    return f"设置文件 {file} 读不出来：{why or '系统不肯打开它'}。"


def not_utf8(file: Path) -> str:
    return f"设置文件 {file} 不是 UTF-8 编码，请用 UTF-8 重新保存。"


def not_toml(file: Path, line: str | None) -> str:
    place = f"第 {line} 行" if line else "末尾"
    return f"设置文件 {file} 的{place}不合 TOML 的写法，请检查引号、等号和方括号。"


# ---- one value ----------------------------------------------------------------------------------------------------


def wrong(file: Path, where: str, shown: str, allowed: str) -> str:
    return f"{file}：{_at(where)}写的是 {shown}，应为{allowed}。"


def unknown(file: Path, where: str, name: str, known: list[str]) -> str:
    if where:
        return f"{file}：{where} 里没有 {key(name)} 这一项，可以写的是 {'、'.join(known)}。"
    return f"{file}：没有 [{key(name)}] 这一节，可以写的是 {'、'.join(known)} 这些节。"


def missing(file: Path, where: str, allowed: str) -> str:
    return f"{file}：缺少 {where}，应为{allowed}。"


def item(where: str, number: int) -> str:
    return f"{where} 的第 {number} 个"


def name_in(where: str) -> str:
    return f"{where} 等号左边"


def no_such_file(file: Path, where: str, named: Path) -> str:
    return f'{file}：{_at(where)}写的是 "{_plain(str(named))}"，应为一个存在而且本程序能读的文件。'


def certificates(error: OSError) -> str:
    return f"[broker] 的证书不能使用（{error.strerror or error}），请检查 ca_file、cert_file 和 key_file 这三个文件。"


def long_password(file: Path, longest: int) -> str:
    return f"口令文件 {file} 的第一行太长，应不超过 {longest} 个字符。"


def empty_password(file: Path) -> str:
    return f"口令文件 {file} 是空的，应在第一行写上口令。"


# ---- what is allowed ----------------------------------------------------------------------------------------------


def span(low: float | None, high: float | None, noun: str) -> str:
    if low is None and high is None:
        return f"一个{noun}"
    return f" {low if low is not None else '…'} 到 {high if high is not None else '…'} 的{noun}"


def one_of(values: tuple[object, ...]) -> str:
    return f" {'、'.join(found(value) for value in values)} 之一"


YES_OR_NO = " true 或 false"
TEXT = "一段加引号的文字"
ABSOLUTE_PATH = "加引号的绝对路径，以 / 开头"
SECTION = "一节设置，写成 [名称] 和下面的各项"
SECTIONS = "一节或几节设置，各以 [[名称]] 开头"


def count(low: int | None, high: int | None) -> str:
    if low == high:
        return f"正好 {low} 个值的列表"
    return f"至少 {low} 个值的列表" if high is None else f" {low} 到 {high} 个值的列表"


# ---- rules between values -----------------------------------------------------------------------------------------


def pin_twice(file: Path, where: str, pin: int, other: str) -> str:
    return f"{file}：{_at(where)}写的是 {pin}，而 {_at(other)}已经用了这个针脚，应为另一个没有用过的 BCM 针脚。"


def fixed_pull(file: Path, where: str, pin: int) -> str:
    return (
        f"{file}：{_at(where)}写的是 {pin}，BCM 2 和 3 在板上焊有上拉电阻，"
        "pull_up = false 时应为 BCM 4 到 27 中没有用过的针脚。"
    )


def half(file: Path, where: str, present: str, absent: str) -> str:
    return f"{file}：{where} 写了 {present} 却没有写 {absent}，应为两项都写或两项都不写。"


def open_password(file: Path, host: str) -> str:
    return (
        f'{file}：[broker] host 写的是 "{host}" 而没有写 ca_file，口令会不加密地经过网络，'
        "应为写上 ca_file，或去掉 password_file。"
    )


def needs(file: Path, where: str, shown: str, condition: str, alternative: str) -> str:
    return f"{file}：{where} 写的是 {shown}，这要求 {condition}，否则应为{alternative}。"


PIN = " 40 针排针上的 BCM 针脚：2 到 27 的整数（0 和 1 留给扩展板的识别芯片）"
WINDOW_ID = "“县代码-站点-窗口号”，如 430602-0107-1（六位、四位数字，再加 1 到 99）"
COUNTY_CODE = "六位县级行政区划代码，如 430602"
COLLECTOR = "空着，或小写字母开头的小写字母和数字，最多十六个，如 spare"
SITE = "四位站点编号，如 0107"
TELEPHONE = "电话号码，如 0730-8123456 或 12393"
TOWNSHIP_PLACE = "乡镇或街道的全名，以乡、镇、街道或苏木结尾，不带“医疗保障服务站”"
VILLAGE_PLACE = "村或社区的全名，以村、社区或嘎查结尾，不带“医疗保障服务点”"
STATION_NAME = "“…医疗保障服务站”或“…医疗保障服务点”"
HOST = "主机名或 IP 地址，不带 http:// 和端口"
ADDRESS = "本机的一个 IP 地址：127.0.0.1 只限本机，0.0.0.0 为所有网卡"
USERNAME = "不含空格、/、+、# 的用户名"
CLERK_NUMBER = "一到八位数字的工号，如 0107"
SHORT_TEXT = "一到四十个字，不含换行"
LAMPS = "一个值（一盏灯）或五个值（每键一盏）的列表"
BOOK_URL = ' "sqlite:////绝对路径" 或 "postgresql+psycopg://用户:口令@主机/库名"'
OTHER_CLERK = "另一个没有用过的工号"
