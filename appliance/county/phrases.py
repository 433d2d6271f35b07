"""Everything that the county's pages and its command say, in one place.

Rules: polite and plain; what is wrong comes with what to do; no code reaches a reader.
"""

from datetime import date, datetime

from appliance.county.monitor import Fault, Row, microseconds, moment

TITLE = "县级监测"
HOME = "返回监测墙"
LOST = "与县级主机的连接断开了，正在重新连接，页面内容可能不是最新的。"
FULL = "同时打开的页面太多，请关闭不用的页面，本页会自动重新连接。"
ERRORS = {
    400: "请求的内容不完整，请返回后再试。",
    403: "这次提交不是从本系统的页面发出的，没有办理。",
    404: "没有这个页面。",
    405: "不能这样打开这个页面，请返回监测墙。",
    413: "提交的内容太长，没有办理。",
    500: "页面出了问题，请返回监测墙再试；仍不行请联系维护人员。",
    503: "同时打开的页面太多，请关闭不用的页面后再试。",
}

# ---- the wall -----------------------------------------------------------------------------------------------------

WALL = "医保服务窗口监测"
STATION, ALL_STATIONS, SHOW = "站点", "全部站点", "查看"
WINDOWS, NEEDS_CARE, CALM, VISITS_TODAY = "个窗口", "需要处理", "运行正常", "今日接待"
TIMES = "人次"
RATE_TODAY, UNRATED_TODAY = "评价率", "未评价"
DEAF = "现在的情况不明"
COLUMNS = {
    "state": "状态",
    "window": "站点与窗口",
    "clerk": "工作人员",
    "visits": "今日接待",
    "unrated": "未评价",
    "rate": "评价率",
    "unsent": "未上报",
}
GRADES = {5: "非常满意", 4: "满意", 3: "基本满意", 2: "不满意", 1: "非常不满意"}
NOBODY = "无人在岗"
NO_WINDOW = "还没有窗口接入。窗口通电并联网后会自动出现在这里。"
NONE = "—"

LEVELS: dict[str, str] = {
    "silent": "失联",
    "offline": "离线",
    "fault": "设备故障",
    "broken": "记录异常",
    "overdue": "逾期未回",
    "away": "暂时离开",
    "off": "已下班关机",
    "unknown": "等待上报",
    "rating": "请群众评价",
    "serving": "正在办理",
    "idle": "空闲",
    "closed": "未上岗",
}

NOT_CONNECTED = (
    "县级主机没有连上消息服务器，以下是断开前的情况。正在自动重新连接；如长时间连不上，请检查消息服务器和网络。"
)
NEVER_CONNECTED = (
    "县级主机还没有连上消息服务器，以下是上次运行时的情况。正在自动连接；如长时间连不上，请检查消息服务器和网络。"
)
BOOK_REFUSES = "数据库写不进去，新的记录暂时留在各窗口，不会丢失。请检查磁盘空间和数据库，恢复后会自动补收。"
BEHIND = "县级主机一时处理不过来，以下情况晚于实际，正在追赶，记录不会丢失。"
MISSING_HEAD = "县局共缺 {} 条记录，涉及 {} 个窗口，正在自动补要，见各窗口。"
LOST_HEAD = "另有 {} 条记录已经无法补回，见各窗口。"
UNREADABLE = "数据库中有 {} 行内容读不出来，已跳过，其余照常显示和接收。请检查数据库所在的磁盘，必要时用备份恢复。"
STRANGERS = "收到 {} 条不属于本县任何窗口的消息，已隔离。"

DEVICES = {
    "printer": "打印机",
    "pad": "评价器",
    "lamps": "提示灯",
    "away": "“暂时离开”开关",
    "camera": "高拍仪",
    "ledger": "本机存储",
    "card": "存储卡",
    "clock": "时钟",
    "font": "字库",
}
DEVICE_ELSE = "一个设备"
REASONS = {
    "absent": "没有连接",
    "wrong_port": "接错了端口",
    "no_permission": "没有使用权限",
    "in_use": "被其他程序占用",
    "refused": "拒绝连接",
    "unreachable": "网络连不上",
    "no_answer": "没有应答",
    "strange_answer": "应答异常，可能不是打印机",
    "paper_out": "缺纸",
    "near_end": "的纸快用完",
    "cover_open": "上盖没有合好",
    "offline": "处于脱机状态",
    "error": "报告故障",
    "stalled": "停止接收数据",
    "unplugged": "工作中断开",
    "unreadable": "不能打印这份内容",
    "no_library": "缺少驱动程序，或驱动程序不能用",
    "no_printer": "没有设置",
    "no_gpio": "有接口不能使用",
    "hung": "长时间没有反应",
    "unusable": "不能使用",
    "no_glyph": "缺少生僻字",
    "damaged": "的原记录文件损坏，已另存并重新开始",
    "other_window": "里是别的窗口的记录，已另存并重新开始",
    "frames_lost": "断电时丢了最后几条记录，编号已跳过",
    "facts_missing": "缺了几条记录，可能被人删除",
    "chatters": "接触不良",
    "unsynced": "没有校准",
    "cannot_tell": "准不准查不出来",
    "full": "写不进去，磁盘可能已满",
    "not_written": "写不进去，磁盘可能已满",
}
REASON_ELSE = "工作不正常"
NOTES = 3
"""Sentences that a row may have; what is beyond them is counted."""
STUCK = "评价器“{}”键按住不放"
BREAKS = "记录有 {} 处对不上，可能被改动或缺失，请到窗口核查"
MISFITS = "{} 条消息无法识别，已隔离"
UNKNOWN = "{} 条新类型记录，已保存，请升级县级程序"
FOREIGN = "发来 {} 条别的窗口的记录，已隔离、没有收下，请核查存储卡是否复制自别的窗口"
MISSING = "县局缺 {} 条记录，正在向窗口补要"
LOST = "{} 条记录缺失，窗口也没有这些记录，请核查存储卡"
REPLACED = "换记录簿之前的记录缺 {} 条，窗口已用新的记录簿"
CUT = "今日评价被打断 {} 次"
UNDRAWABLE = "这个窗口的信息无法显示，请联系维护人员"
AND_MORE = "等 {} 项"
RETURN = "预计 {} 返回"
RETURN_PASSED = "应于 {} 返回"
LAST_STATE = "最后状态：{}"


def since(at_us: int | None, today: date) -> str:
    """Since when: the time, with the day before it when it was not today."""
    if at_us is None:
        return ""
    at = moment(at_us)
    clock = f"{at:%H:%M}"
    if at.date() == today:
        return f"{clock} 起"
    year = "" if at.year == today.year else f"{at.year}年"
    return f"{year}{at.month}月{at.day}日 {clock} 起"


def clock(at: datetime) -> str:
    """A time of the day."""
    return f"{moment(microseconds(at)):%H:%M}"


def now(at_us: int) -> str:
    """Date and time as they stand at the head of the wall."""
    at = moment(at_us)
    return f"{at.year}年{at.month}月{at.day}日 星期{'一二三四五六日'[at.weekday()]} {at:%H:%M}"


def rate(rated: int, visits: int) -> str:
    """What part of the visits was rated."""
    return f"{min(100, round(100 * rated / visits))}%" if visits else NONE


def station(site: str, names: dict[str, str]) -> str:
    """The official name of a site, or its number while nobody has named it."""
    return names.get(site) or f"{site} 号站点"


def window(row: Row) -> str:
    """A window within its station: its own name, as its display shows it, or its number while it has said none."""
    return row.name.strip() or f"{row.number} 号窗口"


def state(row: Row) -> str:
    """What the window does; nothing while it has not said so and something worse stands there."""
    return "" if (row.wrong and row.doing == "unknown") or gone(row) else LEVELS[row.doing]


def gone(row: Row) -> bool:
    """Whether nobody knows what the window does now."""
    return "silent" in row.wrong or "offline" in row.wrong


def fault(found: Fault) -> str:
    """What is wrong with a device, as a sentence without its full stop."""
    if found.reason == "stuck" and found.device[3:].isdigit():
        return STUCK.format(GRADES.get(int(found.device[3:]), ""))
    return f"{DEVICES.get(found.device, DEVICE_ELSE)}{REASONS.get(found.reason, REASON_ELSE)}"


def notes(row: Row) -> list[str]:
    """What else there is to say of a window, the worst first, each a sentence without its full stop; few of them."""
    said = _all_notes(row)
    return said if len(said) <= NOTES else [*said[: NOTES - 1], said[NOTES - 1] + AND_MORE.format(len(said))]


def _all_notes(row: Row) -> list[str]:
    if not row.drawable:
        return [UNDRAWABLE]
    seen = row.seen
    counted = (
        (MISSING, seen.missing.asked),
        (LOST, seen.missing.lost),
        (REPLACED, seen.missing.replaced),
        (FOREIGN, seen.foreign),
        (BREAKS, seen.breaks),
    )
    lesser = ((MISFITS, seen.misfits - seen.foreign), (UNKNOWN, seen.unknown))
    said = [sentence.format(n) for sentence, n in counted if n > 0]
    # A window that has lost something and has a broken printer is to show both.
    said[1:1] = [fault(found) for found in row.faults]
    return said + [sentence.format(n) for sentence, n in lesser if n > 0]


def details(row: Row) -> str:
    """What there is to know of a window's day and yet asks nothing of the county."""
    return CUT.format(row.seen.cut) if row.seen.cut else ""


def whereabouts(row: Row) -> str:
    """Beneath the name: why and until when the window is left, or what it did before it was gone."""
    status = row.status
    if status is None:
        return ""
    if gone(row):
        return LAST_STATE.format(LEVELS[row.doing])
    if row.doing in ("away", "overdue") and status.away:
        back = status.away.expected_back
        until = (RETURN if row.doing == "away" else RETURN_PASSED).format(clock(back)) if back else ""
        return " ".join(part for part in (status.away.reason, until) if part)
    return ""


# ---- the command --------------------------------------------------------------------------------------------------


def book_too_new(found: int, known: int) -> str:
    """The book is of a newer version."""
    return f"数据库是由更新版本的程序建立的（版式 {found}，本程序只认识到 {known}），请升级县级程序，没有做任何改动。"


def book_unusable(code: str, detail: str) -> str:
    """The book cannot be opened."""
    if code == "url":
        return f"数据库地址不能用（{detail}），请检查设置中 book 的 url。"
    if code == "damaged":
        return f"数据库里的版式号读不出来（{detail}），没有做任何改动，请用备份恢复。"
    return f"数据库打不开（{detail}），请检查数据库是否运行、地址和权限是否正确。"
