"""Every sentence that the demo says on the terminal."""

from pathlib import Path

STARTING = "正在启动演示：消息服务器、县级监测和两个窗口……"
READY = "演示已就绪。按 Ctrl-C 结束；再次启动会从这次停下的地方继续。"
ENDING = "正在结束演示……"
ENDED = "演示已结束。"

BROKER = "消息服务器"
COUNTY = "县级监测"
WALL = "县级监测大屏"
WINDOWS = ("一号窗口", "二号窗口")
PANEL = "经办面板"
DISPLAY = "居民屏"
BENCH = "模拟台"

OPTION_STATE = "存放演示数据的目录，默认为当前目录下的 .demo"
OPTION_PORT_BASE = "改用从这个号码开始的四个相邻端口：县级监测、一号窗口、二号窗口、消息服务器"


def running(pid: str) -> str:
    who = f"（进程 {pid}）" if pid else ""
    return f"演示已经在运行{who}，地址见启动它的终端；要重新启动，请先在那里按 Ctrl-C。"


def port_taken(port: int, name: str) -> str:
    return f"端口 {port}（{name}）已被其他程序占用，请关闭那个程序，或用 --port-base 换一组端口。"


def port_base_wrong(lowest: int, highest: int) -> str:
    return f"--port-base 应为 {lowest} 到 {highest} 的整数。"


def no_state(state: Path) -> str:
    return f"目录 {state} 不能写入，请用 --state 指定一个可以写入的目录。"


def state_name(state: Path) -> str:
    return f"目录 {state} 的名称里有空格或问号，请用 --state 指定另一个目录。"


def no_broker() -> str:
    return "没有装上消息服务器 iotcore，请用 make demo 启动，它会装好所需的一切。"


def restarting(name: str, seconds: float) -> str:
    return f"{name}停止了，{seconds:.0f} 秒后重新启动。"


def back(name: str) -> str:
    return f"{name}已恢复。"


def refused(name: str, last: str, log: Path) -> str:
    """`last` is the process's own last line: where settings are wrong it is a sentence already."""
    return f"{name}没有启动：{last}" if last else f"{name}没有启动，原因见 {log}。"


def too_slow(names: list[str], seconds: float, logs: Path) -> str:
    return f"{'、'.join(names)}在 {seconds:.0f} 秒内没有就绪，原因见 {logs} 中的记录。"
