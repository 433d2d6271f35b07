"""Everything that the window's pages say, in one place: the clerk's panel, the resident's display, the bench.

Rules: polite and plain; nothing that differs by grade; what is wrong comes with what to do; no code reaches a reader.
"""

from datetime import date, datetime

from appliance.window.view import Trouble

TITLE = "医保服务窗口"
HOME = "返回首页"
LOST = "与本窗口主机的连接断开了，正在重新连接，页面内容可能不是最新的。"
FULL = "同时打开的页面太多，请关闭不用的页面，本页会自动重新连接。"
ERRORS = {
    400: "提交的内容不完整，请返回后重新填写。",
    403: "这次提交不是从本窗口的页面发出的，没有办理。请返回首页再操作。",
    404: "没有这个页面。",
    405: "不能这样打开这个页面，请返回首页再操作。",
    413: "提交的内容太长，没有办理。请返回后缩短内容。",
    421: "本窗口的页面只能在本机打开，请用以 127.0.0.1 开头的地址。",
    500: "页面出了问题，没有办理。请返回首页再试；仍不行请报告县医保局。",
    503: "同时打开的页面太多，请关闭不用的页面后再试。",
}

GRADES = {5: "非常满意", 4: "满意", 3: "基本满意", 2: "不满意", 1: "非常不满意"}

# ---- the clerk's panel --------------------------------------------------------------------------------------------

PANEL_TITLE = "经办面板"
TAB_HOME, TAB_PAPERS, TAB_DEVICES = "办理", "回执", "设备"
STATES = {
    "closed": "未上岗",
    "idle": "空闲",
    "serving": "正在办理",
    "rating": "请群众评价",
    "away": "暂时离开",
    "fault": "不能保存",
}
RATED = "群众已评价"
ASKED = "评价器已打开，请提醒群众按键评价。"
RATED_NOTE = "请说“谢谢，再见”。"
SINCE = "自"
STAFF_NUMBER = "工号"
SERVED_TODAY, VISITS = "今日已服务", "人次"

NOBODY = "无人在岗"
CHOOSE_CLERK = "请选择上岗人员"
CHOOSE_CLERK_NOTE = "上岗后，姓名和工号会显示在居民屏上。"
GO_OFF_DUTY = "下班"
BEGIN_VISIT, BEGIN_NEXT = "开始服务", "开始下一位"
END_VISIT, END_VISIT_NOTE = "结束服务", "打开评价器"
STEP_AWAY, COME_BACK, SAY_WHY = "暂时离开", "回到窗口", "填写原因和时间"
SWITCH_HOLDS = "窗口上的“暂时离开”开关还在离开位置，请拨回开关，即恢复服务。"

AWAY_TITLE = "暂时离开"
AWAY_REASON = "离开原因"
AWAY_REASONS = ("公务", "取材料", "就餐", "会议", "其他")
AWAY_RETURN = "预计返回"
AWAY_MINUTES = {"10": "10 分钟后", "20": "20 分钟后", "30": "30 分钟后", "60": "1 小时后"}
AWAY_UNKNOWN, AWAY_AT = "暂不确定", "到时间"
AWAY_NO_REASON = "未填写原因"
AWAY_CONFIRM = "确认离开"
AWAY_AMEND = "保存"
CANCEL = "返回"
BACK_AT = "预计返回"

CHOOSE_ITEM = "收件：请选择事项"
NOT_CONFIRMED = "事项目录为草案，材料和时限以县医保局确认的为准。"
AT_ONCE = "即办件"
PROMISE = "承诺 {} 个工作日"
PROMISE_UNKNOWN = "时限待县局公布"
DAYS, DAYS_UNKNOWN = "{} 个工作日", "时限未公布"
APPLICANT = "申请人姓名"
APPLICANT_NOTE = "只用于在回执上打印姓氏（如“张*”），不保存全名。"
CLOCK_UNSET = "本机时钟没有校准：日期按您填的算，取件日期印为暂定。"
CHANGE_DAY = "改日期"
CHANGE_DAY_NOTE = "改了以后，从这张回执起按新日期算；日期印错的回执请收回，重新收件。"
DAY_TITLE = "今天是几月几日？"
DAY_WHY = "本机时钟没有校准，不知道今天的日期。请照日历填写，回执上的日期按它计算，并印为暂定。"
DAY_CONFIRM = "日期没有错，就是这一天"
DAY_SAVE = "确定"
MATERIALS = "收到的材料"
MATERIALS_COUNT = "共 {} 种，请上下滑动看完。"
MATERIALS_NOTE = "收到的打勾，并填写页数。"
REQUIRED, OPTIONAL = "必收", "视情况"
CONDITION = "适用："
PAGES = "页"
PAGES_OF = "页数："
FEWER, MORE = "减一页：", "加一页："
PICK_UP, YEAR, MONTH, DAY, HOUR, MINUTE = "取件日期", "年", "月", "日", "时", "分"
PICK_UP_NOTE = "本事项的办理时限未公布，请与群众约定取件日期。"
PRINT = "打印收件回执"
NOTHING_RECEIVED = "还没有收件，请改正下面标红的地方。"
AWAY_NO_RECEIPT = "现在是暂时离开，回到窗口后才能收件。"

RECEIPT_OF = "收件回执"
CASE_NUMBER, ITEM, RECEIVED_AT, COPY = "编号", "事项", "时间", "打印"
FIRST_PRINT, REPRINT_N = "首次打印", "补打第 {} 次"
REPRINT = "补打"
NEXT_ITEM = "继续收件"
PREVIEW = "回执内容"
NO_PREVIEW = "暂时不能显示回执内容，不影响打印。"
PAPERS_TITLE = "最近的回执"
NO_PAPERS = "还没有打印过回执。"
PAPER_STATES = {
    "queued": "等待打印",
    "sending": "正在打印…",
    "confirmed": "已打印",
    "unconfirmed": "已发送，打印机没有确认，请看纸是否打出",
    "failed": "没有打印",
}
PAPER_REASONS = {
    "no_printer": "本窗口没有设置打印机，请手写回执；要装打印机请报告县医保局",
    "absent": "没有找到打印机，请检查电源和连线",
    "wrong_port": "打印机接在了别的接口上，请核对接口",
    "no_permission": "没有使用打印机的权限，请报告县医保局",
    "in_use": "打印机正被别的程序占用，请报告县医保局",
    "refused": "打印机拒绝连接，请检查打印机网络设置",
    "unreachable": "打印机连不上，请检查电源和网线",
    "no_answer": "打印机没有应答，请检查电源和连线",
    "strange_answer": "接口上的设备不像打印机，请核对连线",
    "paper_out": "打印机缺纸，请装纸",
    "cover_open": "打印机上盖没有合好，请合上",
    "offline": "打印机没有联机，请检查联机键",
    "error": "打印机报错，请关电后重新打开",
    "stalled": "打印机不再接收，请检查后补打",
    "unplugged": "打印中途断开了连线，请检查连线",
    "unreadable": "回执内容不能打印，请报告县医保局",
    "no_library": "缺少打印程序，或打印程序不能用，请报告县医保局",
    "no_gpio": "打印机的接口不能使用，请报告县医保局",
    "hung": "打印机很久没有反应，请关电后重新打开",
    "restarted": "打印前主机重新启动了，请补打",
}
PAPER_REASON_ELSE = "打印机不能工作，请检查电源、连线和纸"

LINKED, LINK_DOUBTED = "已连接县局", "县局没有回应，正在确认"
LINKED_NO_COUNTY = "网络已通，县局系统未在线"
UNLINKED = "与县局断开"
LINKS = {"up": LINKED, "doubted": LINK_DOUBTED, "no_county": LINKED_NO_COUNTY, "down": UNLINKED}
UNSENT = "未上报 {} 条"
ALL_SENT = "已全部上报"
UNSENT_NOTE = "未上报的记录都已存在本机，接通后自动上报，不会丢失。"

DEVICES_TITLE = "设备与连接"
ALL_WELL = "没有发现设备问题。"
NEEDS_CARE, MORE_CARE = "有 {} 个设备问题", "另有 {} 个设备问题，请点此查看"
NOT_KEPT = "本机存储写不进去，现在的操作和评价都不能保存。请不要继续办理，立即报告县医保局。"

REFUSALS = {
    "no_clerk": "还没有人上岗，请先选择上岗人员。",
    "clerk_unknown": "本窗口没有这位工作人员，请重新选择。",
    "already_on_duty": "这位工作人员已经在岗。",
    "already_serving": "上一位还没有结束服务，请先结束服务。",
    "not_serving": "现在没有正在办理的群众。",
    "visit_open": "正在为群众办理，请先结束服务。",
    "away_now": "现在是暂时离开，请先回到窗口。",
    "switch_closed": SWITCH_HOLDS,
    "not_away": "窗口没有离开，不用再回到窗口。",
    "form_incomplete": NOTHING_RECEIVED,
    "day_unknown": "还不知道今天的日期，没有收件。请先在下面填写今天的日期，再打印回执。",
    "day_wrong": "今天的日期填得不对，请改正。",
    "expected_back_past": "预计返回时间要晚于现在。",
}
REFUSED_ELSE = "现在不能这样操作。"
NOT_KEPT_NOW = "没有保存成功，这次操作没有生效。请立即报告县医保局。"

FAULTS = {
    "item": {"unknown": "没有这个事项，请重新选择。", "other_level": "本站点不办理这个事项。"},
    "applicant": {
        "missing": "请填写申请人姓名。",
        "too_long": "姓名太长，请不超过 40 个字。",
        "control": "姓名里有不能打印的字符，请重新输入。",
        "digits": "姓名里不能有数字。",
        "symbols": "姓名里有不是文字的符号，请改正。",
    },
    "materials": {
        "none": "还没有勾选收到的材料。",
        "unknown": "材料清单已更新，请返回后重新选择事项。",
        "twice": "同一份材料勾选了两次，请返回后重新填写。",
    },
    "material": {
        "required": "这是必收材料，还没有收到。",
        "pages_missing": "请填写页数。",
        "not_ticked": "填了页数，但没有打勾：收到了请打勾，没有收到请清空页数。",
        "pages_range": "页数请填 1 到 999 的整数。",
    },
    "pick_up": {
        "missing": "请选择取件日期。",
        "no_such_day": "没有这一天，请重新选择。",
        "past": "取件日期要晚于今天。",
        "rest_day": "这一天不是工作日，请另选一天。",
        "too_far": "取件日期不能晚于一年之后。",
    },
    "day": {
        "missing": "请选择年、月、日。",
        "no_such_day": "没有这一天，请重新选择。",
        "too_far": "这个日期不对，请重新选择。",
        "before_known": "本机已经记录过比这更晚的日期，请核对；没有错请打勾再确认一次。",
        "far_ahead": "这个日期比本机上次的日期晚很多，请核对；没有错请打勾再确认一次。",
        "no_clerk": "还没有人上岗，请先选择上岗人员。",
        "not_kept": NOT_KEPT_NOW,
    },
    "form": {"bad": "页面已过期，请返回后重新填写。"},
    "reason": {"missing": "请选择离开原因。"},
    "back": {"missing": "请选择预计返回时间。", "time": "请填写返回的时间。", "past": "预计返回时间要晚于现在。"},
}
FAULT_ELSE = "这里填得不对，请改正。"

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
DEVICE_ELSE = "有一个设备"
DEVICE_REASONS = {
    "no_printer": "没有设置，要用请报告县医保局",
    "absent": "没有找到，请检查电源和连线",
    "wrong_port": "接在了别的接口上，请核对接口",
    "no_permission": "没有使用权限，请报告县医保局",
    "in_use": "正被别的程序占用，请报告县医保局",
    "refused": "拒绝连接，请检查它的网络设置",
    "unreachable": "连不上，请检查电源和网线",
    "no_answer": "没有应答，请检查电源和连线；能打印时请看着出纸",
    "strange_answer": "应答不对，请核对接口上接的是什么",
    "paper_out": "缺纸，请装纸",
    "near_end": "的纸快用完了，请准备换纸",
    "cover_open": "上盖没有合好，请合上",
    "offline": "没有联机，请检查联机键",
    "error": "报错，请关电后重新打开",
    "stalled": "不再接收，请关电后重新打开",
    "unplugged": "的连线断开了，请重新插好",
    "unreadable": "不能打印这份内容，请报告县医保局",
    "no_library": "缺少驱动程序，或驱动程序不能用，请报告县医保局",
    "stuck": "有按键一直按着，这个键暂停使用，松开后自动恢复；请检查是否卡住",
    "cannot_tell": "准不准查不出来，日期请以窗口填写的为准，并报告县医保局",
    "no_gpio": "的接口不能使用，请报告县医保局",
    "hung": "很久没有反应，请关电后重新打开；仍不行请报告县医保局",
    "unusable": "不能使用，请报告县医保局",
    "no_glyph": "缺少一个生僻字，回执上印成了“〓”，请手写补正并报告县医保局",
    "not_written": "曾有一段时间写不进去，当时的操作没有保存",
    "damaged": "的原记录文件损坏，已另存并重新开始记录，请报告县医保局",
    "other_window": "里原来是别的窗口的记录，已另存并重新开始记录，请报告县医保局",
    "frames_lost": "断电时丢了最后几条记录，请核对最近办理的几件，并报告县医保局",
    "facts_missing": "缺了几条记录，可能被人删除，请报告县医保局",
    "chatters": "接触不良，离开和回到窗口请在本页面上操作，并报告县医保局",
}
DEVICE_SENTENCES = {
    ("pad", "no_gpio"): "评价器有部分或全部按键的接口不能使用，这些键按了没有反应，请报告县医保局",
    ("away", "no_gpio"): "“暂时离开”开关的接口不能使用，离开和回到窗口请在本页面上操作，并报告县医保局",
    ("lamps", "no_gpio"): "提示灯的接口不能使用，有灯不亮，评价不受影响，请报告县医保局",
    ("font", "unusable"): "字库文件读不出来，回执上的生僻字可能印成“〓”，请手写补正并报告县医保局",
}
"""Where the device and the reason together say more than one after the other."""
DEVICE_REASON_ELSE = "工作不正常，请检查电源和连线，仍不行请报告县医保局"

NO_LEDGER_TITLE = "本窗口现在不能办理"
NO_LEDGER_NOTE = "办理的内容和群众的评价都保存不了，所以没有开始服务。问题排除后本页会自动恢复，不用操作。"
NO_LEDGER_ASK = "请报告县医保局，并请群众到其他窗口办理。"

# ---- the resident's display ---------------------------------------------------------------------------------------

DISPLAY_TITLE = "居民屏"
DISPLAY_LOST = "本窗口的屏幕正在恢复，请稍候。有事请直接问工作人员。"
STAFF = "工作人员"
SLOGAN = "中国医保 一生守护"
ADVICE_LINE, COMPLAINT_LINE = "咨询电话", "投诉举报电话"
WELCOME, WELCOME_NOTE = "欢迎办理医保业务", "请准备好身份证件和材料"
SERVING, SERVING_NOTE = "正在为您办理", "有不清楚的地方，请随时询问"
ASK, ASK_NOTE = "请对我的服务进行评价", "工作人员看不到您按的是哪个键"
PRESS_WITHIN = "请在评价器上按一个键，还剩"
SECONDS = "秒"
THANKS, THANKS_NOTE = "谢谢您的评价", "如果按错了，现在可以再按一次改正，还剩"
TWO_KEYS = "同时按了两个键，请只按一个"
AWAY, AWAY_NOTE = "暂时离开", "工作人员暂时离开窗口，请您稍候"
AWAY_SINCE, AWAY_BACK, AWAY_WHY = "离开时间", "预计返回", "原因"
CLOSED, CLOSED_NOTE = "本窗口暂未开放", "请到其他窗口办理，或拨打咨询电话"
FAULT, FAULT_NOTE = "设备暂时不能使用", "请向工作人员说明，或拨打咨询电话"

# ---- the bench ----------------------------------------------------------------------------------------------------

BENCH_TITLE = "模拟台"
BENCH_NOTE = "在屏幕上操作窗口的硬件：按键、开关、打印机、网线。按住不放等于手指不松开；也可以用键盘 1 到 5。"
PAD, AWAY_SWITCH, AWAY_BUTTON = "评价器", "“暂时离开”开关", "“暂时离开”按钮"
SWITCH_ON, SWITCH_OFF = "开关在“离开”位置", "开关在“在岗”位置"
TURN_ON, TURN_OFF = "拨到离开", "拨回在岗"
HOLD, HELD, LOOSE = "按住", "正按着", "没有按"
LAMP_PROMPT, LAMP_AWAY = "提示灯", "暂时离开灯"
LIT, DARK = "亮", "灭"
PRINTER, TRAY, TRAY_EMPTY = "打印机", "出纸盘", "还没有打印"
PULL_CABLE, PLUG_CABLE = "拔掉连线", "插好连线"
TAKE_PAPER, PUT_PAPER = "取出纸卷", "装上纸卷"
NETWORK, CUT_NETWORK, JOIN_NETWORK = "到县局的网络", "断开网线", "接好网线"
KILL_BROKER, BROKER_UP, BROKER_DOWN = "停掉消息服务", "消息服务在运行", "消息服务已停，稍后自动恢复"
PAPER_PICTURE = "第 {} 张"
AT_WORK, CABLE_IS_OUT, PAPER_IS_OUT = "正常", "连线已拔", "缺纸"
NETWORK_IS_CUT, NETWORK_IS_WHOLE = "网线已断", "网线已接"


# ---- sentences that are put together ------------------------------------------------------------------------------


def trouble(found: Trouble) -> str:
    """One sentence: what does not work, and what to do."""
    if sentence := DEVICE_SENTENCES.get((found.device, found.reason)):
        return f"{sentence}。"
    device = DEVICES.get(found.device, DEVICE_ELSE)
    return f"{device}{DEVICE_REASONS.get(found.reason, DEVICE_REASON_ELSE)}。"


def refusal(code: str) -> str:
    """Why the window did not do what was asked."""
    return REFUSALS.get(code, REFUSED_ELSE)


def fault(field: str, code: str) -> str:
    """What is wrong with a field of a form."""
    return FAULTS.get(field.split(":", 1)[0], {}).get(code, FAULT_ELSE)


def paper_state(state: str, reason: str) -> str:
    """How far a paper has come; why, when it has not."""
    text = PAPER_STATES.get(state, PAPER_STATES["unconfirmed"])
    return f"{text}：{PAPER_REASONS.get(reason, PAPER_REASON_ELSE)}" if state == "failed" else text


def paper_copy(copy: int) -> str:
    """Which print of a receipt it is."""
    return REPRINT_N.format(copy) if copy else FIRST_PRINT


def promise(days: int | None, at_once: bool) -> str:
    """How long a matter takes."""
    if at_once:
        return AT_ONCE
    return PROMISE_UNKNOWN if days is None else PROMISE.format(days)


def days(days: int | None, at_once: bool) -> str:
    """How long a matter takes, in few words."""
    if at_once:
        return AT_ONCE
    return DAYS_UNKNOWN if days is None else DAYS.format(days)


def clock(at: datetime) -> str:
    """`9:05`, the way a clock on the wall says it."""
    return f"{at.hour}:{at.minute:02d}"


def moment(at: datetime, today: date) -> str:
    """A time of today as the clock says it, of another day with the day."""
    return clock(at) if at.date() == today else f"{at.month}月{at.day}日 {clock(at)}"


def received_on(day: date) -> str:
    """The day that promises are counted from, for the clerk to see whether it is right."""
    return f"收件日期：{day.year}年{day.month}月{day.day}日 星期{'一二三四五六日'[day.weekday()]}"
