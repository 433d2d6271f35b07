"""Wrong settings are one Chinese sentence: file, key, what was found, what is allowed; right ones are frozen."""

# ruff: noqa: E501 - one row a line: a table is read by its rows

from pathlib import Path

import msgspec
import pytest

from appliance.settings import SettingsWrong, load_county, load_window, password

WINDOW = """\
[window]
id = "430602-0107-1"
label = "1号窗口"
[station]
place = "梅溪乡"
telephone = "0730-8123456"
[[clerks]]
number = "0107"
name = "王敏"
[broker]
host = "127.0.0.1"
"""

COUNTY = """\
[county]
code = "430602"
name = "岳阳楼区医疗保障局"
[broker]
host = "127.0.0.1"
"""

PIN = "40 针排针上的 BCM 针脚：2 到 27 的整数（0 和 1 留给扩展板的识别芯片）"


def written(tmp_path: Path, text: str, name: str = "window.toml") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def sentence_of(file: Path) -> str:
    """What loading the file is refused with, without the file's own name, which stands in every sentence."""
    load = load_county if file.name == "county.toml" else load_window
    with pytest.raises(SettingsWrong) as refusal:
        load(file)
    sentence = str(refusal.value)
    assert str(file) in sentence
    assert sentence.endswith("。")
    assert sentence.count("。") == 1
    return sentence.replace(str(file), "FILE")


# ---- what is right ------------------------------------------------------------------------------------------------


def test_the_few_required_settings_are_enough(tmp_path: Path) -> None:
    settings = load_window(written(tmp_path, WINDOW))
    assert settings.window.county == "430602"
    assert settings.pad.keys == (5, 6, 13, 19, 26)
    assert settings.printer.kind == "none"
    assert not settings.bench.enabled
    assert load_county(written(tmp_path, COUNTY, "county.toml")).county.stale_s == 180


def test_a_station_has_exactly_its_official_name(tmp_path: Path) -> None:
    assert load_window(written(tmp_path, WINDOW)).station.name == "梅溪乡医疗保障服务站"
    village = WINDOW.replace('place = "梅溪乡"', 'level = "village"\nplace = "梅溪乡柳树村"')
    assert load_window(written(tmp_path, village)).station.name == "梅溪乡柳树村医疗保障服务点"


def test_settings_cannot_be_changed_after_they_were_read(tmp_path: Path) -> None:
    settings = load_window(written(tmp_path, WINDOW))
    with pytest.raises(AttributeError):
        settings.pad.prompt_s = 1  # type: ignore[misc]  # that it cannot be assigned is what is asked


def test_whole_numbers_do_for_seconds_and_windows_line_ends_do_for_lines(tmp_path: Path) -> None:
    settings = load_window(written(tmp_path, (WINDOW + "[pad]\nprompt_s = 90\n").replace("\n", "\r\n")))
    assert settings.pad.prompt_s == 90.0
    assert isinstance(settings.pad.prompt_s, float)


def test_one_lamp_or_five_and_no_away_switch(tmp_path: Path) -> None:
    text = WINDOW + '[pad]\nlamps = [17]\n[away]\nkind = "none"\npin = 17\n'
    settings = load_window(written(tmp_path, text))
    assert settings.pad.lamps == (17,)
    # A switch that is not there takes no pin.
    assert dict(settings.pins())["[pad] lamps 的第 1 个"] == 17
    assert "[away] pin" not in dict(settings.pins())


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    secret = written(tmp_path, "梅 花 三弄\n\n", "broker.password")
    text = WINDOW + f'username = "430602-0107-1"\npassword_file = "{secret}"\n'
    settings = load_window(written(tmp_path, text))
    assert password(settings.broker) == "梅 花 三弄"
    assert password(load_window(written(tmp_path, WINDOW)).broker) is None
    secret.write_text("\n")
    with pytest.raises(SettingsWrong, match=f"^口令文件 {secret} 是空的，应在第一行写上口令。$"):
        password(settings.broker)


def test_the_settings_tell_what_they_hold_without_a_machine_in_between(tmp_path: Path) -> None:
    """Everything in them is plain data: `doctor` can print them and a test can compare them."""
    settings = load_window(written(tmp_path, WINDOW))
    told = msgspec.to_builtins(settings, enc_hook=str)
    assert told["station"]["complaints_telephone"] == "12393"
    assert told["ledger"]["path"] == "/var/lib/appliance/ledger.db"


# ---- what is wrong: the file --------------------------------------------------------------------------------------


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "window.toml"
    assert sentence_of(file) == "设置文件 FILE 不存在，请照 firmware_config/window.toml 的样子写一份。"
    county = tmp_path / "county.toml"
    assert sentence_of(county) == "设置文件 FILE 不存在，请照 firmware_config/county.toml 的样子写一份。"


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    (tmp_path / "window.toml").mkdir()
    assert sentence_of(tmp_path / "window.toml") == "设置文件 FILE 读不出来：它是一个目录。"


def test_a_file_in_another_encoding_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "window.toml"
    file.write_bytes(WINDOW.encode("gb18030"))
    assert sentence_of(file) == "设置文件 FILE 不是 UTF-8 编码，请用 UTF-8 重新保存。"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[window\n", "第 1 行"),
        ("[window]\nid = “430602-0107-1”\n", "第 2 行"),
        ("[window]\nid = ", "末尾"),
        ("[pad]\nkeys = [1]\n[pad]\n", "第 3 行"),
        # Two that tomllib answers with errors of Python's, not of its own.
        ("a = " + "[" * 5000, "末尾"),
        ("a = " + "9" * 5000, "末尾"),
    ],
)
def test_what_is_not_toml_is_told_by_its_line(tmp_path: Path, text: str, place: str) -> None:
    expected = f"设置文件 FILE 的{place}不合 TOML 的写法，请检查引号、等号和方括号。"
    assert sentence_of(written(tmp_path, text)) == expected


# ---- what is wrong: one value -------------------------------------------------------------------------------------

ONE_VALUE = [
    (WINDOW + "[pads]\n", "FILE：没有 [pads] 这一节，可以写的是 window、station、clerks、ledger、broker、panel、pad、away、printer、camera、clock、bench 这些节。"),
    (WINDOW + "[camera]\nkimd = 1\n", "FILE：[camera] 里没有 kimd 这一项，可以写的是 kind。"),
    (WINDOW + '[camera]\n"种类" = 1\n', 'FILE：[camera] 里没有 "种类" 这一项，可以写的是 kind。'),
    (WINDOW.replace('label = "1号窗口"\n', ""), "FILE：缺少 [window] label，应为一到四十个字，不含换行。"),
    ("", "FILE：缺少 [window]，应为一节设置，写成 [名称] 和下面的各项。"),
    (WINDOW.replace("[[clerks]]", "[clerks]"), "FILE：[clerks] 写的是 一张有 2 项的表，应为一节或几节设置，各以 [[名称]] 开头。"),
    ("clerks = []\n" + WINDOW.replace('[[clerks]]\nnumber = "0107"\nname = "王敏"\n', ""), "FILE：[clerks] 写的是 一个有 0 个值的列表，应为一节或几节设置，各以 [[名称]] 开头。"),
    ("pad = 5\n" + WINDOW, "FILE：[pad] 写的是 5，应为一节设置，写成 [名称] 和下面的各项。"),
    (WINDOW.replace("430602-0107-1", "430602-0107"), 'FILE：[window] id 写的是 "430602-0107"，应为“县代码-站点-窗口号”，如 430602-0107-1（六位、四位数字，再加 1 到 99）。'),
    (WINDOW.replace("430602-0107-1", "430602-0107-１"), 'FILE：[window] id 写的是 "430602-0107-１"，应为“县代码-站点-窗口号”，如 430602-0107-1（六位、四位数字，再加 1 到 99）。'),
    (WINDOW.replace('"0107"', "107"), "FILE：[clerks] 的第 1 个 number 写的是 107，应为一到八位数字的工号，如 0107。"),
    (WINDOW.replace("王敏", "王\\n敏"), 'FILE：[clerks] 的第 1 个 name 写的是 "王□敏"，应为一到四十个字，不含换行。'),
    (WINDOW + '[[clerks]]\nnumber = "0107"\nname = "李建国"\n', 'FILE：[clerks] 的第 2 个 number 写的是 "0107"，应为另一个没有用过的工号。'),
    (WINDOW.replace("梅溪乡", "梅溪乡医疗保障服务站"), 'FILE：[station] place 写的是 "梅溪乡医疗保障服务站"，应为乡镇或街道的全名，以乡、镇、街道或苏木结尾，不带“医疗保障服务站”。'),
    (WINDOW.replace("[station]", '[station]\nlevel = "village"'), 'FILE：[station] place 写的是 "梅溪乡"，应为村或社区的全名，以村、社区或嘎查结尾，不带“医疗保障服务点”。'),
    (WINDOW.replace("[station]", '[station]\nlevel = "乡"'), 'FILE：[station] level 写的是 "乡"，应为 "township"、"village" 之一。'),
    (WINDOW.replace("0730-8123456", "12-"), 'FILE：[station] telephone 写的是 "12-"，应为电话号码，如 0730-8123456 或 12393。'),
    (WINDOW + '[ledger]\npath = "ledger.db"\n', 'FILE：[ledger] path 写的是 "ledger.db"，应为加引号的绝对路径，以 / 开头。'),
    (WINDOW + "[ledger]\npath = 1979-05-27\n", "FILE：[ledger] path 写的是 1979-05-27，应为加引号的绝对路径，以 / 开头。"),
    (WINDOW.replace('"127.0.0.1"', '"http://broker"'), 'FILE：[broker] host 写的是 "http://broker"，应为主机名或 IP 地址，不带 http:// 和端口。'),
    (WINDOW + "port = 70000\n", "FILE：[broker] port 写的是 70000，应为 1 到 65535 的整数。"),
    (WINDOW + "port = true\n", "FILE：[broker] port 写的是 true，应为 1 到 65535 的整数。"),
    (WINDOW + f"port = {'9' * 50}\n", "FILE：[broker] port 写的是 一个极长的整数，应为 1 到 65535 的整数。"),
    (WINDOW + "[panel]\nport = 80\n", "FILE：[panel] port 写的是 80，应为 1024 到 65535 的整数。"),
    (WINDOW + '[panel]\nlisten = "1.2.3"\n', 'FILE：[panel] listen 写的是 "1.2.3"，应为本机的一个 IP 地址：127.0.0.1 只限本机，0.0.0.0 为所有网卡。'),
    (WINDOW + "[pad]\nkeys = [5, 6, 13, 19]\n", "FILE：[pad] keys 写的是 一个有 4 个值的列表，应为正好 5 个值的列表。"),
    (WINDOW + "[pad]\nkeys = [5, 6, 13, 19, 28]\n", f"FILE：[pad] keys 的第 5 个写的是 28，应为 {PIN}。"),
    (WINDOW + "[pad]\nkeys = [5, 6, 1, 19, 26]\n", f"FILE：[pad] keys 的第 3 个写的是 1，应为 {PIN}。"),
    (WINDOW + "[pad]\nkeys = [5, 6, 13.0, 19, 26]\n", f"FILE：[pad] keys 的第 3 个写的是 13.0，应为 {PIN}。"),
    (WINDOW + '[pad]\nkeys = "5,6,13,19,26"\n', 'FILE：[pad] keys 写的是 "5,6,13,19,26"，应为正好 5 个值的列表。'),
    (WINDOW + "[pad]\nlamps = [17, 27]\n", "FILE：[pad] lamps 写的是 一个有 2 个值的列表，应为一个值（一盏灯）或五个值（每键一盏）的列表。"),
    (WINDOW + "[pad]\nlamps = [99]\n", f"FILE：[pad] lamps 的第 1 个写的是 99，应为 {PIN}。"),
    (WINDOW + "[pad]\nprompt_s = nan\n", "FILE：[pad] prompt_s 写的是 nan，应为 5 到 600 的数。"),
    (WINDOW + "[pad]\nprompt_s = -inf\n", "FILE：[pad] prompt_s 写的是 -inf，应为 5 到 600 的数。"),
    (WINDOW + '[pad]\nprompt_s = "60"\n', 'FILE：[pad] prompt_s 写的是 "60"，应为 5 到 600 的数。'),
    (WINDOW + "[pad]\npull_up = 1\n", "FILE：[pad] pull_up 写的是 1，应为 true 或 false。"),
    (WINDOW + '[printer]\nkind = "usb"\n', 'FILE：[printer] kind 写的是 "usb"，应为 "bench"、"lp"、"network"、"none"、"serial" 之一。'),
    (WINDOW + "[printer]\nbaud = 9601\n", "FILE：[printer] baud 写的是 9601，应为 1200、2400、4800、9600、19200、38400、57600、115200 之一。"),
    (WINDOW + "[printer]\ncolumns = 32.0\n", "FILE：[printer] columns 写的是 32.0，应为 32、42、48 之一。"),
    (WINDOW + '[printer]\nfonts = ["/nowhere/x.ttf"]\n', 'FILE：[printer] fonts 的第 1 个写的是 "/nowhere/x.ttf"，应为一个存在而且本程序能读的文件。'),
    (WINDOW + 'ca_file = "/nowhere/ca.crt"\n', 'FILE：[broker] ca_file 写的是 "/nowhere/ca.crt"，应为一个存在而且本程序能读的文件。'),
    (WINDOW + f'[camera]\nkind = "{"长" * 60}"\n', f'FILE：[camera] kind 写的是 "{"长" * 40}…"，应为 "bench"、"none"、"picamera2" 之一。'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), ONE_VALUE, ids=[sentence[5:40] for _, sentence in ONE_VALUE])
def test_a_wrong_value_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence_of(written(tmp_path, text)) == sentence


# ---- what is wrong: values that do not go together ----------------------------------------------------------------

TOGETHER = [
    ("[pad]\nkeys = [5, 6, 13, 5, 26]\n", "FILE：[pad] keys 的第 4 个写的是 5，而 [pad] keys 的第 1 个已经用了这个针脚，应为另一个没有用过的 BCM 针脚。"),
    ("[pad]\nlamps = [26]\n", "FILE：[pad] lamps 的第 1 个写的是 26，而 [pad] keys 的第 5 个已经用了这个针脚，应为另一个没有用过的 BCM 针脚。"),
    ("[away]\npin = 17\n", "FILE：[away] pin 写的是 17，而 [pad] lamps 的第 1 个已经用了这个针脚，应为另一个没有用过的 BCM 针脚。"),
    ("[away]\nlamp = 16\n", "FILE：[away] lamp 写的是 16，而 [away] pin 已经用了这个针脚，应为另一个没有用过的 BCM 针脚。"),
    ("[pad]\nkeys = [2, 6, 13, 19, 26]\npull_up = false\n", "FILE：[pad] keys 的第 1 个写的是 2，BCM 2 和 3 在板上焊有上拉电阻，pull_up = false 时应为 BCM 4 到 27 中没有用过的针脚。"),
    ("[away]\npin = 3\npull_up = false\n", "FILE：[away] pin 写的是 3，BCM 2 和 3 在板上焊有上拉电阻，pull_up = false 时应为 BCM 4 到 27 中没有用过的针脚。"),
    ("[pad]\nprompt_s = 10\nchange_s = 10\n", "FILE：[pad] change_s 写的是 10，这要求 prompt_s 比它长，否则应为小于 10 的数。"),
    ("[pad]\nbounce_ms = 60\ntogether_ms = 50\n", "FILE：[pad] bounce_ms 写的是 60，这要求 together_ms 比它长，否则应为小于 50 的整数。"),
    ('[printer]\nkind = "network"\n', 'FILE：[printer] 写了 kind = "network" 却没有写 host，应为两项都写或两项都不写。'),
    ('[pad]\nfactory = "mock"\n', 'FILE：[pad] factory 写的是 "mock"，这要求 [bench] enabled = true，否则应为 "lgpio"。'),
    ('[printer]\nkind = "bench"\n', 'FILE：[printer] kind 写的是 "bench"，这要求 [bench] enabled = true，否则应为 "none"、"serial"、"lp"、"network" 之一。'),
    ('[camera]\nkind = "bench"\n', 'FILE：[camera] kind 写的是 "bench"，这要求 [bench] enabled = true，否则应为 "none"、"picamera2" 之一。'),
    ("[bench]\nenabled = true\n", 'FILE：[bench] enabled 写的是 true，这要求 [pad] factory = "mock"，否则应为 false。'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), TOGETHER, ids=[text.strip().replace("\n", " ") for text, _ in TOGETHER])
def test_values_that_do_not_go_together_are_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence_of(written(tmp_path, WINDOW + text)) == sentence


def test_half_of_what_the_broker_needs_is_a_sentence(tmp_path: Path) -> None:
    file = written(tmp_path, "x", "some.pem")
    half = "却没有写 {}，应为两项都写或两项都不写。"
    for present, absent in (("cert_file", "key_file"), ("key_file", "cert_file"), ("password_file", "username")):
        text = WINDOW + f'{present} = "{file}"\n'
        assert sentence_of(written(tmp_path, text)) == f"FILE：[broker] 写了 {present} {half.format(absent)}"
    pair = WINDOW + f'cert_file = "{file}"\nkey_file = "{file}"\n'
    assert sentence_of(written(tmp_path, pair)) == f"FILE：[broker] 写了 cert_file {half.format('ca_file')}"


def test_a_password_does_not_cross_a_network_bare(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret\n", "password")
    text = WINDOW.replace("127.0.0.1", "mqtt.example.cn") + f'username = "a"\npassword_file = "{secret}"\n'
    assert sentence_of(written(tmp_path, text)) == (
        'FILE：[broker] host 写的是 "mqtt.example.cn" 而没有写 ca_file，口令会不加密地经过网络，'
        "应为写上 ca_file，或去掉 password_file。"
    )
    load_window(written(tmp_path, text + f'ca_file = "{secret}"\n'))


COUNTIES = [
    (COUNTY.replace('"430602"', '"43060"'), 'FILE：[county] code 写的是 "43060"，应为六位县级行政区划代码，如 430602。'),
    (COUNTY.replace("[broker]", "stale_s = 5\n[broker]"), "FILE：[county] stale_s 写的是 5，应为 60 到 3600 的整数。"),
    (COUNTY + '[stations]\n107 = "梅溪乡医疗保障服务站"\n', 'FILE：[stations] 等号左边写的是 "107"，应为四位站点编号，如 0107。'),
    (COUNTY + '[stations]\n0107 = "梅溪乡"\n', 'FILE：[stations] 0107 写的是 "梅溪乡"，应为“…医疗保障服务站”或“…医疗保障服务点”。'),
    (COUNTY + "[stations]\n0107 = 1\n", "FILE：[stations] 0107 写的是 1，应为“…医疗保障服务站”或“…医疗保障服务点”。"),
    (COUNTY + "[office]\nviewers = 0\n", "FILE：[office] viewers 写的是 0，应为 2 到 256 的整数。"),
    (COUNTY + '[office]\nlisten = ":::::"\n', 'FILE：[office] listen 写的是 ":::::"，应为本机的一个 IP 地址：127.0.0.1 只限本机，0.0.0.0 为所有网卡。'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), COUNTIES, ids=[sentence[5:30] for _, sentence in COUNTIES])
def test_a_county_s_wrong_value_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence_of(written(tmp_path, text, "county.toml")) == sentence


def test_a_sentence_never_repeats_the_book_s_password(tmp_path: Path) -> None:
    text = COUNTY + '[book]\nurl = "mysql://root:hunter2@db/book"\n'
    sentence = sentence_of(written(tmp_path, text, "county.toml"))
    assert sentence == (
        "FILE：[book] url 写的是 （含口令，不在此显示），"
        '应为 "sqlite:////绝对路径" 或 "postgresql+psycopg://用户:口令@主机/库名"。'
    )
