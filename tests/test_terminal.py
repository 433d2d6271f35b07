"""Every command speaks Chinese on any terminal: real locales, streams that are closed, full, or read by nobody."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.test_run import SETTINGS

ROOT = Path(__file__).parent.parent
# What Debian would put into /usr/lib/locale, made in a folder of the test, and the encoding that its reader expects.
LOCALES = {
    "en_US.ISO-8859-1": "utf-8",
    "zh_CN.GBK": "gbk",
    "zh_CN.GB18030": "gb18030",
    "zh_CN.GB2312": "gb2312",
    "zh_TW.BIG5": "utf-8",
    "C": "utf-8",
    "POSIX": "utf-8",
    "not-installed": "utf-8",
}
THOROUGH = ("zh_CN.GBK", "en_US.ISO-8859-1")
"""Where every command is asked; elsewhere one of each kind."""
BRIEFLY = (("--help",), ("doctor", "--wiring"), ("run", "--settings"), ("demo", "--port-base"))
# As the installed command runs it. There the package is found beside the venv; here it has to be said where it is.
ISOLATED = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('appliance', run_name='__main__')"


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("locales")
    for name in LOCALES:
        definition, _, charmap = name.partition(".")
        if charmap:
            # It warns of signs that an old character map has not.
            words = ["localedef", "--no-warnings=ascii", "-c", "-i", definition, "-f", charmap, str(place / name)]
            done = subprocess.run(words, capture_output=True, check=False)
            assert (place / name / "LC_CTYPE").is_file(), done.stderr
    return place


def appliance(*words: str | Path, isolated: bool = False) -> list[str | Path]:
    return [sys.executable, *(["-I", "-c", ISOLATED] if isolated else ["-m", "appliance"]), *words]


def environment(locale: str, locales: Path, **more: str) -> dict[str, str]:
    ours = {"LC_ALL": locale, "LANG": locale, "LOCPATH": str(locales), "PYTHONPATH": str(ROOT), **more}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return {**kept, **ours}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A window whose ledger lies in a folder with a Chinese name, one character of which GBK has not."""
    place = tmp_path / "窗口㛃"
    place.mkdir()
    file = place / "window.toml"
    file.write_text(SETTINGS.format(place=place, broker=1, port=8999), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("locale", "isolated"), [*((name, False) for name in LOCALES), ("zh_CN.GBK", True), ("en_US.ISO-8859-1", True)]
)
def test_every_command_speaks_chinese(locales: Path, settings: Path, locale: str, isolated: bool) -> None:
    wrong = settings.with_name("wrong.toml")
    wrong.write_text("[窗口]\n", encoding="utf-8")
    told: dict[tuple[str, ...], tuple[int, str]] = {
        ("--help",): (0, "医保服务窗口一体机"),
        ("run", "--help"): (0, "设置文件"),
        ("demo", "--help"): (0, "演示"),
        ("doctor", "--settings", "window.toml"): (1, "县级消息服务器"),
        ("doctor", "--wiring", "--settings", "window.toml"): (0, "评价键"),
        ("doctor", "--print", "--settings", "window.toml"): (1, "自检页没有打印"),
        ("run", "--settings", "wrong.toml"): (2, "不合 TOML 的写法"),
        ("county", "--settings", "wrong.toml"): (2, "不合 TOML 的写法"),
        ("run", "--settings", "none.toml"): (2, "设置文件 none.toml 不存在"),
        ("demo", "--port-base", "1"): (1, "的整数"),
    }
    for words, (status, sentence) in told.items():
        if not (locale in THOROUGH or words[:2] in BRIEFLY):
            continue
        done = subprocess.run(
            appliance(*words, isolated=isolated),
            env=environment(locale, locales),
            capture_output=True,
            cwd=settings.parent,
            check=False,
        )
        said = done.stdout.decode(LOCALES[locale]) + done.stderr.decode(LOCALES[locale])
        assert (done.returncode, "Traceback" in said) == (status, False), (words, said)
        assert sentence in said, (words, said)


@pytest.mark.parametrize("locale", ["zh_CN.GBK", "en_US.ISO-8859-1"])
def test_files_with_chinese_names_are_the_same_files_in_any_locale(locales: Path, settings: Path, locale: str) -> None:
    """The ledger's name stands in UTF-8 in the settings, and so it does on the disk."""
    (settings.parent / "ledger.db").write_bytes(b"no database" * 100)
    done = subprocess.run(
        appliance("doctor", "--settings", "window.toml"),
        env=environment(locale, locales),
        capture_output=True,
        cwd=settings.parent,
        check=False,
    )
    said = done.stdout.decode(LOCALES[locale])
    assert "还没有，启动时建立" not in said
    assert "异常  台账" in said


def test_what_gbk_lacks_is_escaped_and_the_rest_stays(locales: Path, settings: Path) -> None:
    words = appliance("doctor", "--settings", "window.toml")
    done = subprocess.run(
        words, env=environment("zh_CN.GBK", locales), capture_output=True, cwd=settings.parent, check=False
    )
    assert r"\u36c3" in done.stdout.decode("gbk")
    assert "能画" in done.stdout.decode("gbk")


def test_the_journal_and_who_asks_for_it_get_utf_8(locales: Path, settings: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for asked in (False, True):
        with log.open("wb") as journal:
            stat = os.fstat(journal.fileno())
            more = {"PYTHONIOENCODING": "utf-8"} if asked else {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
            words = appliance("run", "--settings", "wrong.toml")
            subprocess.run(words, env=environment("zh_CN.GBK", locales, **more), stderr=journal, check=False)
        assert "设置文件" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command", [["--help"], ["doctor", "--wiring"], ["run"], ["county"], ["demo", "--port-base", "1"]]
)
@pytest.mark.parametrize("ends", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | exit 0"])
def test_a_stream_that_is_closed_or_full_or_read_by_nobody_is_no_error(
    settings: Path, command: list[str], ends: str
) -> None:
    """The status is the command's own, and nothing lies where a closed stream's number was taken by a file."""
    given = (
        []
        if command[0] in {"--help", "demo"}
        else ["--settings", "wrong.toml" if command[0] != "doctor" else "window.toml"]
    )
    settings.with_name("wrong.toml").write_text("[x]\n", encoding="utf-8")
    want = {"run": 2, "county": 2, "demo": 1}.get(command[0], 0)
    script = f'{{ "$@"; echo $? >status; }} {ends}'
    left = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = ["sh", "-c", script, "sh", *appliance(*command, *given)]
    subprocess.run(words, cwd=settings.parent, env=left, capture_output=True, check=False)
    assert int((settings.parent / "status").read_text(encoding="ascii")) == want


def test_a_stream_that_does_not_block_and_is_full_is_no_error(settings: Path) -> None:
    """A terminal that another program (ssh, node) has made so, or a pipe whose reader is slow."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        for words, want in ((["--help"], 0), (["run", "--settings", "none.toml"], 2)):
            left = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = appliance(*words)
            done = subprocess.run(command, cwd=settings.parent, env=left, stdout=writer, stderr=writer, check=False)
            assert done.returncode == want
    finally:
        os.close(reader)
        os.close(writer)


def test_closed_streams_are_opened_before_any_file_can_take_their_numbers(tmp_path: Path) -> None:
    look = "import os, sys\nfrom appliance.terminal import speak_chinese\nspeak_chinese()\n"
    look += "print('医保'); print('医保', file=sys.stderr)\n"
    look += "fd = os.open('found', os.O_CREAT | os.O_WRONLY)\nos.write(fd, str(fd).encode())\n"
    words = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-c", look]
    subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert int((tmp_path / "found").read_text(encoding="ascii")) > 2
