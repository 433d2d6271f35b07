"""Every Chinese sentence that this wing puts on paper, or says about a paper."""

SLOGAN = "中国医保 一生守护"
RECEIPT = "收件回执"
REPRINT = "补打 第{copy}次"
QR_TEXT = "[二维码 {payload}]"

NUMBER = "回执编号"
ITEM = "办理事项"
APPLICANT = "申 请 人"
RECEIVED = "收件时间"
KIND = "办件类型"
CLERK = "经 办 人"
WINDOW = "办理窗口"
TELEPHONE = "咨询电话"
COMPLAINTS = "投诉电话"
PICK_UP = "办结取件时间"
PICK_UP_LATEST = "办结取件时间（最迟）"
MATERIALS = "收到材料"
PAGES = "页数"

TOTAL = "共{kinds}种 {pages}页"
MOMENT = "{at.year}年{at.month}月{at.day}日 {at.hour:02d}:{at.minute:02d}"
DAY = "{day.year}年{day.month}月{day.day}日"
TENTATIVE_DAY = "{day.year}年{day.month}月{day.day}日（暂定）"
TENTATIVE = "暂定，以通知为准"
TENTATIVE_WHY = "（节假日安排尚未公布，日期以窗口通知为准）"
TENTATIVE_CLOCK = "（本机时钟未校准，日期以窗口通知为准）"
AT_ONCE = "即时办结"
CLERK_SIGN = "{name}（工号 {number}）"
KIND_AT_ONCE = "即办件（即时办结）"
KIND_PROMISED = "承诺件（{days}个工作日）"
KIND_ENTERED = "承诺件"

NOT_ACCEPTANCE = "本回执仅证明已收到上述材料，不是受理凭证。"
KEEP = "请核对材料和页数，取件时请带上本回执。"
KEEP_AT_ONCE = "请核对材料和页数，妥善保管本回执。"
SEAL = "收件单位（盖章处）"
APPLICANT_SIGNS = "申请人签字：{line}"
CLERK_SIGNS = "经办人签字：{line}"

SELF_TEST = "打印机自检"
SELF_TEST_RARE = "生僻字"
SELF_TEST_NAMES = "王㛃 龚䶮 刘𬭎 𠮷田"
SELF_TEST_SIGNS_KEY = "符号"
SELF_TEST_SIGNS = "×—·“”￥"
SELF_TEST_TALL = "加高 倍高字"
SELF_TEST_LARGE = "加大"
SELF_TEST_RULER = "标尺{cells}格（右端应到纸边，不换行）"
SELF_TEST_GOOD = "以上各行清楚、无问号、无方框，即为正常。"

MISSING_FIELDS = {
    "number": "回执编号",
    "item": "办理事项",
    "applicant": "申请人",
    "station": "收件单位",
    "materials": "收到的材料",
    "pages": "材料的页数",
    "pick_up": "办结取件时间",
    "clerk": "经办人姓名和工号",
}
CANNOT_PRINT = "收件回执不能打印，缺少：{fields}"
PAGES_OF = "材料“{name}”的页数"
