"""One layout, three painters: what a printer makes of the bytes is line for line the plain text."""

import io
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from appliance.paper import escpos, picture, plain
from appliance.paper.document import (
    QR,
    Align,
    Block,
    Column,
    Document,
    Feed,
    KeyValue,
    Rule,
    Size,
    Table,
    Text,
    decode,
    encode,
)
from appliance.paper.glyphs import Glyphs
from appliance.paper.layout import lay_out
from appliance.paper.profile import SMALL, WIDE, Profile
from appliance.paper.qr import modules
from appliance.paper.reading import Reader
from appliance.paper.sheet import MISSING, PITCH, Code, Line, Mark, Sheet

GLYPHS = Glyphs()
RARE = "㛃䶮𬭎𠮷"
FS = Profile(name="fs", enlarge="fs")
NATIVE = Profile(name="native", cells=48, native_qr=True, cutter=True)
PROFILES = [SMALL, WIDE, FS, NATIVE]

words = st.text(
    st.one_of(st.sampled_from("医保办理，。、（）《》×—·“”￥¥ 12ab" + RARE), st.characters(codec="utf-8")), max_size=70
)
sizes: st.SearchStrategy[Size] = st.sampled_from(["normal", "tall", "large"])
aligns: st.SearchStrategy[Align] = st.sampled_from(["left", "centre", "right"])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(
        st.lists(st.builds(Column, words, st.sampled_from([0, 0, 2, 4, 6, 30]), aligns), min_size=1, max_size=4)
    )
    rows = draw(st.lists(st.tuples(*[words] * len(columns)), max_size=4))
    return Table(tuple(columns), tuple(rows), draw(sizes))


blocks = st.one_of(
    st.builds(Text, words, sizes, aligns, st.booleans()),
    st.builds(KeyValue, words, words, sizes, st.booleans()),
    st.builds(Rule, st.booleans()),
    tables(),
    st.builds(QR, st.from_regex(r"[A-Z0-9-]{1,30}", fullmatch=True), st.integers(1, 8)),
    st.builds(Feed, st.integers(1, 3)),
)
documents = st.builds(lambda found: Document(tuple(found)), st.lists(blocks, max_size=8))


def laid(document: Document, profile: Profile) -> Sheet:
    return lay_out(document, profile.cells, lambda char: char in RARE)


def printed(job: bytes, profile: Profile) -> Sheet:
    """What comes out of a printer that is sent the job, with drawn characters and QR pictures recognised."""
    reader = Reader(profile.cells)
    reader.feed(job)
    assert reader.strange == []
    assert len(reader.sheets) <= 1
    return reader.sheets[0] if reader.sheets else Sheet(profile.cells, ())


def recognised(sheet: Sheet, payloads: list[str]) -> Sheet:
    names = {GLYPHS.dots(char): char for char in RARE}
    codes = {modules(payload): payload for payload in payloads}

    def row(one: Line | Code) -> Line | Code:
        if isinstance(one, Code):
            return Code(one.payload or codes[one.modules], one.module)
        marks = tuple(Mark(names[mark.dots], 2, drawn=True) if mark.dots else mark for mark in one.marks)
        return Line(marks, one.indent, one.size, one.bold)

    return Sheet(sheet.width, tuple(row(one) for one in sheet.rows))


def payloads(document: Document) -> list[str]:
    return [block.payload for block in document.blocks if isinstance(block, QR)]


@settings(deadline=None)
@given(documents, st.sampled_from([32, 48]))
def test_no_line_is_wider_than_the_paper(document: Document, cells: int) -> None:
    sheet = lay_out(document, cells, lambda char: char in RARE)
    lines = [row for row in sheet.rows if isinstance(row, Line)]
    assert [line for line in lines if line.cells > cells] == []
    assert [line for line in lines if any(mark.char == "\n" for mark in line.marks)] == []


@settings(max_examples=150, deadline=None)
@given(documents, st.sampled_from(PROFILES))
def test_the_printer_prints_line_for_line_what_the_plain_text_says(document: Document, profile: Profile) -> None:
    sheet = laid(document, profile)
    paper = printed(escpos.paint(sheet, profile, GLYPHS.dots), profile)
    assert plain.paint(recognised(paper, payloads(document))).rstrip() == plain.paint(sheet).rstrip()


@settings(deadline=None)
@given(documents)
def test_the_printer_enlarges_what_was_laid_out_large(document: Document) -> None:
    sheet = laid(document, SMALL)
    paper = printed(escpos.paint(sheet, SMALL, GLYPHS.dots), SMALL)
    for wanted, came in zip(sheet.rows, paper.rows, strict=False):
        if isinstance(wanted, Line) and isinstance(came, Line) and wanted.marks and came.marks:
            assert (came.size, came.bold) == (wanted.size, wanted.bold)


@settings(max_examples=25, deadline=None)
@given(documents)
def test_the_picture_is_as_wide_and_high_as_the_paper(document: Document) -> None:
    sheet = laid(document, SMALL)
    seen = Image.open(io.BytesIO(picture.paint(sheet, GLYPHS, 1)))
    lines = sum(PITCH[row.size] for row in sheet.rows if isinstance(row, Line))
    assert seen.width == 384 + 2 * picture.MARGIN
    assert seen.height >= lines + 2 * picture.MARGIN
    if not payloads(document):
        assert seen.height == lines + 2 * picture.MARGIN


@settings(deadline=None)
@given(documents, st.sampled_from(PROFILES))
def test_text_goes_out_as_ascii_and_two_byte_codes_only(document: Document, profile: Profile) -> None:
    """Between commands: no four-byte code (a second byte that is a digit), no control byte, no FS C, no UTF-8 mode."""
    sheet = laid(document, profile)
    job = escpos.paint(
        Sheet(sheet.width, tuple(row for row in sheet.rows if isinstance(row, Line))), profile, GLYPHS.dots
    )
    text = re.sub(
        rb"\x1b\*!\x18\x00.{72}|\x1b[3JEa].|\x1b@|\x1c&|[\x1c\x1d]!.|\x1dVB\x00|\x1dr\x01", b"", job, flags=re.DOTALL
    )
    assert re.fullmatch(rb"(?:[\x20-\x7e\n]|[\x81-\xfe][\x40-\x7e\x80-\xfe])*", text)


@settings(deadline=None)
@given(words)
def test_no_control_character_of_a_name_reaches_the_printer(name: str) -> None:
    sheet = laid(Document((KeyValue("申请人", name),)), SMALL)
    shown = "".join(mark.char for row in sheet.rows if isinstance(row, Line) for mark in row.marks)
    assert [char for char in shown if unicodedata.category(char) == "Cc"] == []


def test_a_name_with_an_escape_in_it_prints_as_a_name() -> None:
    job = escpos.paint(laid(Document((Text("王\x1b@\x1dV\x00敏"),)), SMALL), SMALL, GLYPHS.dots)
    assert "王@V敏".encode("gbk") in job
    assert job.count(b"\x1b@") == 1
    assert b"\x1dV" not in job


def test_a_job_is_byte_for_byte_as_the_manuals_want_it() -> None:
    sheet = laid(Document((Text("：（〇￥12.50"), Text("王㛃"), Text("大", size="large"), Rule())), SMALL)
    assert escpos.paint(sheet, SMALL, GLYPHS.dots) == (
        b"\x1b@\x1c&\x1b3\x1e"
        + "：（〇￥12.50\n王".encode("gbk")
        + (b"\x1b*!\x18\x00" + GLYPHS.dots("㛃") + b"\n")
        + (b"\x1d!\x11\x1b3\x36" + "大".encode("gbk") + b"\n\x1d!\x00\x1b3\x1e")
        + ("─" * 16).encode("gbk")
        + b"\n\n\n\n\n\x1dr\x01"
    )


@pytest.mark.parametrize(
    ("profile", "holds", "lacks"),
    [
        (SMALL, b"\x1dv0\x00", b"\x1d(k"),
        (NATIVE, b"\x1d(k\x10\x001P020261122-0003", b"\x1dv0"),
        (NATIVE, b"\x1dVB\x00\x1dr\x01", b"\x1c!"),
        (FS, b"\x1c!\x0c", b"\x1dV"),
    ],
)
def test_a_printer_is_sent_only_what_its_profile_can(profile: Profile, holds: bytes, lacks: bytes) -> None:
    document = Document((Text("大", size="large"), QR("20261122-0003")))
    job = escpos.paint(laid(document, profile), profile, GLYPHS.dots)
    assert holds in job
    assert lacks not in job


def test_a_receipt_is_text_with_drawn_exceptions_not_a_picture() -> None:
    forty = Document(tuple(Text("本回执仅证明已收到材料") for _ in range(40)))
    assert len(escpos.paint(laid(forty, SMALL), SMALL, GLYPHS.dots)) < 1_300


def test_a_character_that_no_font_has_is_seen_named_and_reported() -> None:
    sheet = laid(Document((KeyValue("申请人", "王\U00030edd"), Text("完"))), SMALL)
    assert plain.paint(sheet).splitlines() == [f"申请人：王{MISSING}", f"{MISSING}=U+30EDD", "完"]
    assert sheet.missing == ("\U00030edd",)


def test_a_line_with_a_drawn_character_is_not_enlarged_because_a_printer_cannot() -> None:
    (line,) = laid(Document((Text("王㛃", size="large"),)), SMALL).rows
    assert isinstance(line, Line)
    assert (line.size, line.bold) == ("normal", True)


def test_a_long_value_goes_on_below_itself() -> None:
    sheet = laid(Document((KeyValue("办理事项", "城乡居民基本医疗保险参保登记"),)), SMALL)
    assert plain.paint(sheet) == "办理事项：城乡居民基本医疗保险参\n          保登记\n"


def test_a_table_too_wide_for_the_paper_is_set_as_paragraphs() -> None:
    table = Table((Column("甲", 20), Column("乙", 20)), (("一", "二"),))
    assert plain.paint(laid(Document((table,)), SMALL)) == "甲 乙\n一 二\n"
    assert plain.paint(laid(Document((table,)), WIDE)).splitlines()[1] == "一" + " " * 19 + "二"


@settings(deadline=None)
@given(documents)
def test_a_document_is_the_same_after_the_ledger_kept_it(document: Document) -> None:
    assert decode(encode(document)) == document


def test_a_printer_without_chinese_mode_shows_question_marks_as_real_ones_do() -> None:
    """So that the reader would show what goes wrong if we forgot the mode, or sent four-byte codes."""
    reader = Reader(32)
    reader.feed(b"\x1b@" + "王".encode("gbk") + b"\n\x1c&" + "王㛃".encode("gb18030") + b"\n\x1dr\x01")
    assert "㛃".encode("gb18030") == b"\x82\x30\xb7\x31"
    assert plain.paint(reader.sheets[0]) == "??\n王?0?1\n"


@given(documents, st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_bytes_may_come_in_pieces_of_any_size(document: Document, piece: int) -> None:
    job = escpos.paint(laid(document, SMALL), SMALL, GLYPHS.dots)
    reader = Reader(32)
    ends = sum(reader.feed(job[at : at + piece]) for at in range(0, len(job), piece))
    assert ends == 1
    assert reader.sheets == ([printed(job, SMALL)] if reader.sheets else [])


def block_names() -> list[type[Block]]:
    return [Text, KeyValue, Rule, Table, QR, Feed]


def test_every_kind_of_block_can_be_kept_and_printed() -> None:
    every: tuple[Block, ...] = (
        Text("甲"),
        KeyValue("乙", "丙"),
        Rule(),
        Table((Column(),), (("丁",),)),
        QR("A"),
        Feed(),
    )
    assert [type(block) for block in every] == block_names()
    assert len(laid(Document(every), SMALL).rows) == 6
