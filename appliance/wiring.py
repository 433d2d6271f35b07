"""The wiring table of a window, made from its pin settings: the table on the wall cannot differ from the program."""

from collections.abc import Iterator

import msgspec

from appliance.settings import WindowSettings

# In the order of BCM 2 to 27.
_PLACES = (3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13)
HEADER = dict(enumerate(_PLACES, 2))
"""BCM number -> pin of the 40-pin header, the same on every Raspberry Pi that has one."""

GROUNDS = (6, 9, 14, 20, 25, 30, 34, 39)
SUPPLIES = (1, 17)
"""Header pins that carry 3.3 V. 5 V (pins 2 and 4) would destroy an input."""

OTHER_USES = {
    **dict.fromkeys((2, 3), "I2C，板上有 1.8 kΩ 上拉电阻"),
    **dict.fromkeys((14, 15), "串口 UART，启用串口控制台时不可用"),
    **dict.fromkeys((7, 8, 9, 10, 11), "SPI，启用 SPI 扩展板时不可用"),
    **dict.fromkeys((18, 19, 20, 21), "I2S，装 I2S 声卡扩展板时不可用"),
}
"""What else a pin may be wanted for; a warning, not an error: most windows carry no extension board."""

GRADES = ("非常满意", "满意", "基本满意", "不满意", "非常不满意")
COLUMNS = ("设置项", "接什么", "BCM", "排针", "方向", "怎么接", "注意")


class Wire(msgspec.Struct, frozen=True):
    """One row: the setting that names the pin, what hangs on it, BCM and header pin, direction, how, what to heed."""

    setting: str
    part: str
    bcm: int
    header: int
    direction: str
    connect: str
    heed: str


def wiring(settings: WindowSettings) -> tuple[Wire, ...]:
    """Every wire between the header and the counter, in the order of the settings."""
    return tuple(_wires(settings))


def table(wires: tuple[Wire, ...]) -> str:
    """The rows as a Markdown table, which is also how `doctor --wiring` prints them."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(cell) for cell in msgspec.structs.astuple(wire)) + " |" for wire in wires]
    return "\n".join(lines)


def _wires(settings: WindowSettings) -> Iterator[Wire]:
    pad, away = settings.pad, settings.away
    for grade, pin in zip(GRADES, pad.keys, strict=True):
        yield _contact("pad.keys", f"评价键 {grade}", pin, pad.pull_up)
    for number, pin in enumerate(pad.lamps, 1):
        part = "评价提示灯" if len(pad.lamps) == 1 else f"评价提示灯 {number}（{GRADES[number - 1]}键旁）"
        yield _lamp("pad.lamps", part, pin, pad.lamps_active_low)
    if away.kind != "none":
        part = {"switch": "暂时离开开关（自锁）", "button": "暂时离开按钮（点动）"}[away.kind]
        yield _contact("away.pin", part, away.pin, away.pull_up)
    if away.lamp is not None:
        yield _lamp("away.lamp", "暂时离开灯", away.lamp, away.lamp_active_low)


def _contact(setting: str, part: str, bcm: int, pull_up: bool) -> Wire:
    rail = _ground(bcm) if pull_up else _supply(bcm)
    direction = "输入，内部上拉" if pull_up else "输入，内部下拉"
    return Wire(setting, part, bcm, HEADER[bcm], direction, f"常开触点：一端接此针，另一端接{rail}", _heed(bcm))


def _lamp(setting: str, part: str, bcm: int, active_low: bool) -> Wire:
    direction = "输出，低电平亮" if active_low else "输出，高电平亮"
    rail = f"{_supply(bcm)}接灯正极，灯负极接 330 Ω 电阻，再接此针" if active_low else ""
    connect = rail or f"此针接 330 Ω 电阻，再接灯正极，灯负极接{_ground(bcm)}"
    return Wire(setting, part, bcm, HEADER[bcm], direction, connect, _heed(bcm))


def _nearest(bcm: int, rails: tuple[int, ...]) -> int:
    return min(rails, key=lambda rail: (abs(rail - HEADER[bcm]), rail))


def _ground(bcm: int) -> str:
    return f" GND（排针 {_nearest(bcm, GROUNDS)}）"


def _supply(bcm: int) -> str:
    return f" 3.3 V（排针 {_nearest(bcm, SUPPLIES)}）"


def _heed(bcm: int) -> str:
    return OTHER_USES.get(bcm, "—")
