"""The papers that a window hands out: the 收件回执, its 补打, and a printer's self-test page."""

from datetime import date, datetime
from typing import Literal

import msgspec

from appliance.paper import phrases
from appliance.paper.document import QR, Block, Column, Document, Feed, KeyValue, Rule, Table, Text

PickUp = Literal["at_once", "sure", "tentative", "entered"]


class Material(msgspec.Struct, frozen=True):
    """One material as received; without `pages` no receipt is printed."""

    name: str
    pages: int | None


class ReceiptFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a 收件回执 says; the first four are mandatory by the source (R047), the applicant is already masked.

    `pick_up` is the last day promised: None for `at_once`, and for `tentative` where no working-day table reaches.
    """

    materials: tuple[Material, ...]
    pick_up: date | None
    pick_up_is: PickUp
    clerk_name: str
    clerk_number: str
    number: str
    item: str
    applicant: str
    received: datetime
    station: str
    window: str = ""
    promised_days: int | None = None
    telephone: str = ""
    complaint_telephone: str = ""
    copy: int = 0
    dated_by_clerk: bool = False
    """The clock was not to be trusted: the day is the clerk's, and no time of day is printed."""


class FieldsMissing(ValueError):
    """A receipt lacks what it must say: `fields` are codes; `materials` are those that lack pages (code `pages`)."""

    def __init__(self, fields: tuple[str, ...], materials: tuple[str, ...]) -> None:
        self.fields = fields
        self.materials = materials
        names = [phrases.MISSING_FIELDS[field] for field in fields if field != "pages"]
        names += [phrases.PAGES_OF.format(name=name) for name in materials]
        super().__init__(phrases.CANNOT_PRINT.format(fields="、".join(names)))


def receipt(fields: ReceiptFields) -> Document:
    """The 收件回执; raises FieldsMissing naming every mandatory field that is empty."""
    _check(fields)
    return Document(
        (
            *_head(fields),
            *_case(fields),
            *_materials(fields.materials),
            *_promise(fields),
            *_contacts(fields),
            *_foot(fields),
        )
    )


def _check(fields: ReceiptFields) -> None:
    unpaged = tuple(one.name for one in fields.materials if not one.pages or one.pages < 1)
    present = {
        "number": fields.number.strip(),
        "item": fields.item.strip(),
        "applicant": fields.applicant.strip(),
        "station": fields.station.strip(),
        "materials": fields.materials and all(one.name.strip() for one in fields.materials),
        "pages": not unpaged,
        "pick_up": fields.pick_up or fields.pick_up_is in ("at_once", "tentative"),
        "clerk": fields.clerk_name.strip() and fields.clerk_number.strip(),
    }
    missing = tuple(name for name, value in present.items() if not value)
    if missing:
        raise FieldsMissing(missing, unpaged)


def _head(fields: ReceiptFields) -> tuple[Block, ...]:
    mark = Text(phrases.REPRINT.format(copy=fields.copy), align="centre", bold=True)
    again = (mark,) if fields.copy else ()
    return (
        Text(phrases.SLOGAN, align="centre"),
        Text(fields.station, align="centre", bold=True),
        Text(phrases.RECEIPT, size="large", align="centre", bold=True),
        *again,
        Rule(heavy=True),
        Text(phrases.NUMBER, align="centre"),
        Text(fields.number, size="large", align="centre", bold=True),
        Rule(),
    )


def _case(fields: ReceiptFields) -> tuple[Block, ...]:
    return (
        KeyValue(phrases.ITEM, fields.item, bold=True),
        KeyValue(phrases.APPLICANT, fields.applicant),
        KeyValue(phrases.RECEIVED, _received(fields)),
        KeyValue(phrases.KIND, _kind(fields)),
        Rule(),
    )


def _received(fields: ReceiptFields) -> str:
    if fields.dated_by_clerk:
        return phrases.DAY.format(day=fields.received)
    return phrases.MOMENT.format(at=fields.received)


def _kind(fields: ReceiptFields) -> str:
    if fields.pick_up_is == "at_once":
        return phrases.KIND_AT_ONCE
    if fields.promised_days is None:
        return phrases.KIND_ENTERED
    return phrases.KIND_PROMISED.format(days=fields.promised_days)


def _materials(materials: tuple[Material, ...]) -> tuple[Block, ...]:
    columns = (Column(cells=2, align="right"), Column(phrases.MATERIALS), Column(phrases.PAGES, 4, "right"))
    rows = tuple((str(number), one.name, str(one.pages)) for number, one in enumerate(materials, 1))
    total = phrases.TOTAL.format(kinds=len(materials), pages=sum(one.pages or 0 for one in materials))
    return (Table(columns, rows), Text(total, align="right"), Rule())


def _promise(fields: ReceiptFields) -> tuple[Block, ...]:
    tentative = fields.pick_up_is == "tentative"
    reason = phrases.TENTATIVE_CLOCK if fields.dated_by_clerk else phrases.TENTATIVE_WHY
    why = (Text(reason, align="centre"),) if tentative else ()
    return (
        Text(phrases.PICK_UP if fields.pick_up is None else phrases.PICK_UP_LATEST, align="centre"),
        Text(_pick_up(fields), size="large", align="centre", bold=True),
        *why,
        Rule(),
    )


def _pick_up(fields: ReceiptFields) -> str:
    if fields.pick_up_is == "at_once":
        return phrases.AT_ONCE
    if fields.pick_up is None:
        return phrases.TENTATIVE
    form = phrases.TENTATIVE_DAY if fields.pick_up_is == "tentative" else phrases.DAY
    return form.format(day=fields.pick_up)


def _contacts(fields: ReceiptFields) -> tuple[Block, ...]:
    clerk = phrases.CLERK_SIGN.format(name=fields.clerk_name, number=fields.clerk_number)
    optional = (
        (phrases.WINDOW, fields.window),
        (phrases.TELEPHONE, fields.telephone),
        (phrases.COMPLAINTS, fields.complaint_telephone),
    )
    return (
        KeyValue(phrases.CLERK, clerk, bold=True),
        *(KeyValue(key, value) for key, value in optional if value.strip()),
        Rule(),
    )


def _foot(fields: ReceiptFields) -> tuple[Block, ...]:
    line = "_" * 16
    return (
        Text(phrases.NOT_ACCEPTANCE, bold=True),
        Text(phrases.KEEP_AT_ONCE if fields.pick_up_is == "at_once" else phrases.KEEP),
        QR(fields.number),
        Text(phrases.CLERK_SIGNS.format(line=line)),
        Feed(),
        Text(phrases.APPLICANT_SIGNS.format(line=line)),
        Feed(),
        Text(phrases.SEAL, align="right"),
        Feed(4),
    )


def self_test(cells: int) -> Document:
    """A page to judge a new printer by: rare characters, signs of one and two cells, every size, a ruler, a QR code."""
    return Document(
        (
            Text(phrases.SELF_TEST, size="large", align="centre"),
            Rule(heavy=True),
            KeyValue(phrases.SELF_TEST_RARE, phrases.SELF_TEST_NAMES),
            KeyValue(phrases.SELF_TEST_SIGNS_KEY, phrases.SELF_TEST_SIGNS),
            Text(phrases.SELF_TEST_TALL, size="tall"),
            Text(phrases.SELF_TEST_LARGE, size="large"),
            Rule(),
            Text(phrases.SELF_TEST_RULER.format(cells=cells)),
            Text(("1234567890" * 10)[:cells]),
            Text("医保" * (cells // 4)),
            QR("SELF-TEST"),
            Text(phrases.SELF_TEST_GOOD),
        )
    )
