"""The wire as a document that any client can read: AsyncAPI 3, made from the same structs that both ends speak with.

`python -m appliance.asyncapi` prints it; `asyncapi.json` beside this file is that text, and a test keeps it so.
"""

import re
import sys
from datetime import date, datetime
from typing import Any, Final

import msgspec

from appliance import __version__, wire
from appliance.window.facts import (
    FACT_TYPES,
    AwayBegan,
    AwayEnded,
    CaseReceived,
    ClockStated,
    ClockSynced,
    DeviceFailed,
    DeviceRecovered,
    DutyBegan,
    DutyEnded,
    Fact,
    Handed,
    OrderDone,
    OrderRefused,
    PaperFailed,
    PaperPrinted,
    PaperUnconfirmed,
    PressStray,
    RatingChanged,
    RatingDeclined,
    RatingGiven,
    VisitBegan,
    VisitEnded,
)
from appliance.window.moment import CHINA

COUNTY: Final = "430602"
WINDOW: Final = "430602-0107-1"
LEDGER: Final = "3f9c1a7e"
NINE: Final = datetime(2026, 11, 22, 9, 14, 3, 218000, tzinfo=CHINA)
VISIT: Final = "20261122-0009"
PAPER: Final = "20261122-0004-R"
CASE: Final = "430602-0107-1-20261122-0004"

EXAMPLES: Final[tuple[Fact, ...]] = (
    DutyBegan(clerk="0107", name="王敏"),
    DutyEnded(clerk="0107"),
    VisitBegan(visit=VISIT, clerk="0107"),
    VisitEnded(visit=VISIT, clerk="0107", seconds=412.5, item="jmcbdj"),
    RatingGiven(visit=VISIT, grade=4, item="jmcbdj", clerk="0107"),
    RatingChanged(visit=VISIT, grade=5, was=4, why="changed", clerk="0107"),
    RatingDeclined(visit=VISIT, why="timeout", clerk="0107"),
    PressStray(key=5, why="no_prompt"),
    AwayBegan(away="20261122-01", by="switch", reason="取材料", expected_back=NINE.replace(minute=30), clerk="0107"),
    AwayEnded(away="20261122-01", by="switch", seconds=480.0, clerk="0107"),
    CaseReceived(
        case=CASE,
        item="jmcbdj",
        item_name="城乡居民参保登记",
        catalogue="1",
        applicant="张*",
        received=NINE,
        materials=(Handed("有效身份证件", 1), Handed("参保登记表", 2)),
        promised_days=5,
        due=date(2026, 11, 27),
        due_is="sure",
        clerk="0107",
        clerk_name="王敏",
        paper=PAPER,
        form="f-61b0",
        visit=VISIT,
    ),
    PaperPrinted(paper=PAPER, case=CASE, copy=0),
    PaperUnconfirmed(paper=PAPER, case=CASE, copy=0, reason="no_answer"),
    PaperFailed(paper=PAPER, case=CASE, copy=1, reason="paper_out"),
    DeviceFailed(device="printer", reason="paper_out"),
    DeviceRecovered(device="printer", reason="paper_out"),
    ClockSynced(offset=86400.25),
    ClockStated(day=date(2026, 11, 22), clerk="0107"),
    OrderDone(order="c-0000"),
    OrderRefused(order="c-0001", reason="unknown"),
)
"""One of each type that this version knows."""

PRESENCE: Final = wire.Presence(online=True, session=412, at=NINE)
STATUS: Final = wire.Status(
    state="serving",
    since=NINE,
    clerk=wire.ClerkCard("0107", "王敏"),
    away=None,
    case_open=True,
    waiting=3,
    served_today=17,
    name="二号窗口",
)
HEALTH: Final = wire.Health(
    at=NINE,
    version=__version__,
    printer=wire.PrinterState(state="bad", paper="out", reason="paper_out"),
    pad=wire.PadState(state="ok"),
    camera="none",
    clock=wire.ClockState(synced=True, source="ntp"),
    outbox=wire.OutboxState(depth=2, oldest_s=4, ledger=LEDGER, newest=42),
    disk_free_mb=21000,
    temperature_c=48.3,
    throttled=False,
    probes={"network": "unknown", "insurance": "unknown", "government": "unknown"},
    documents={"catalogue": "1"},
)
ACK: Final = wire.Ack(ledger=LEDGER, seqs=[(1, 40), (42, 42)])


class Order(wire.Order, frozen=True, kw_only=True):
    __doc__ = wire.Order.__doc__
    data: dict[str, Any]  # type: ignore[assignment]


class Envelope(wire.Envelope, frozen=True, kw_only=True):
    __doc__ = wire.Envelope.__doc__
    # The wire keeps it raw; whoever reads the document wants to know that it is an object.
    data: dict[str, Any]  # type: ignore[assignment]


ORDER: Final = Order(
    specversion="1.0",
    id="c-0001",
    source=f"/counties/{COUNTY}",
    type="window.order.identify.v1",
    time=NINE,
    data={"by": "县医保局 李强"},
)

PATTERNS: Final = {
    "id": r"^[0-9a-f]{8}-([0-9]{6}|[1-9][0-9]{6,})$",
    "sequence": "^[1-9][0-9]*$",
    "source": r"^/windows/[0-9]{6}/[0-9]{6}-[0-9A-Za-z]+-[0-9]+$",
    "uptime": r"^[0-9]+(\.[0-9]+)?$",
    "prevhash": "^[0-9a-f]{64}$",
    "specversion": r"^1\.0$",
}
"""What the fields of an envelope must look like beyond being text."""


def document() -> dict[str, Any]:
    """The whole document, as plain JSON values."""
    structs = [Envelope, wire.Presence, wire.Status, wire.Health, wire.Ack, Order, *FACT_TYPES.values()]
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    properties = schemas["Envelope"]["properties"]
    for name, pattern in PATTERNS.items():
        properties[name]["pattern"] = pattern
    for name, field in (("Envelope", "time"), ("Order", "time"), ("Status", "since"), ("CaseReceived", "received")):
        schemas[name]["properties"][field]["format"] = "date-time"
    properties["datacontenttype"] = {"const": "application/json"}
    schemas["Status"]["properties"]["state"]["enum"] = ["closed", "idle", "serving", "rating", "away", "fault"]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:medical-insurance-window:wire:v1",
        "info": {
            "title": "A service window and its county",
            "version": "1.0.0",
            "description": __doc__.split("\n\n")[0]
            + " MQTT 3.1.1, QoS 1. A change of it is a new version, not an edit.",
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": dict(sorted(schemas.items()))},
    }


def text() -> str:
    """The document as it stands in the file."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n"


def fact_payload(fact: Fact, seq: int = 17) -> bytes:
    """A fact as a window would publish it."""
    return wire.encode(
        wire.Envelope(
            specversion="1.0",
            id=wire.fact_id(LEDGER, seq),
            sequence=str(seq),
            source=f"/windows/{COUNTY}/{WINDOW}",
            type=f"window.{fact.type}.v1",
            subject=fact.subject,
            time=NINE,
            clocksynced=True,
            bootid="5b1c9c1e-0f4f-4c2e-9f43-1d0f2f3f8a10",
            uptime="381.220",
            prevhash=wire.prevhash(None if seq == 1 else b"the payload of the fact before"),
            data=msgspec.Raw(msgspec.json.encode(fact)),
        )
    )


def message_of(topic: str) -> str | None:
    """The name of the message that the document has for a topic, None for a topic that it does not have."""
    fact = re.fullmatch(rf"{wire.ROOT}/[0-9]{{6}}/[^/]+/fact/([^/]+)", topic)
    if fact:
        return fact[1] if fact[1] in FACT_TYPES else None
    for name, channel in _channels().items():
        pattern = re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(channel["address"]))
        if re.fullmatch(pattern, topic):
            return str(next(iter(_channels()[name]["messages"])))
    return None


# ---- the parts ----------------------------------------------------------------------------------------------------

_COUNTY: Final = {"description": "GB/T 2260 code of the county, six digits.", "examples": [COUNTY]}
_WINDOW: Final = {"description": "{county}-{site}-{number}; also its MQTT client id.", "examples": [WINDOW]}


def _channels() -> dict[str, Any]:
    own = "windows/v1/{county}/{window}/"
    return {
        "presence": _channel(own + "presence", ["presence"], "A window's word that it is there, and its last will."),
        "status": _channel(own + "status", ["status"], "What anyone may see of the window now."),
        "health": _channel(own + "health", ["health"], "How its parts are; on change, and every 60 s."),
        "fact": _channel(own + "fact/{type}", sorted(FACT_TYPES), "What happened, once each, chained by prevhash."),
        "ack": _channel(own + "ack", ["ack"], "The county has committed these; only now the window's duty ends."),
        "order": _channel(own + "order/{name}", ["order"], "What the county wants the window to do."),
        "countyPresence": _channel(
            "windows/v1/{county}/county/presence",
            ["presence"],
            "A collector's word that it is there, and its last will.",
        ),
    }


def _channel(address: str, messages: list[str], description: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {"county": _COUNTY}
    if "{window}" in address:
        parameters["window"] = _WINDOW
    if "{type}" in address:
        parameters["type"] = {"description": "The fact's type.", "enum": messages}
    if "{name}" in address:
        parameters["name"] = {"description": "What is ordered; also in the order's type."}
    refs = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "description": description, "parameters": parameters, "messages": refs}


def _operations() -> dict[str, Any]:
    """As a window sees it: it sends and receives."""
    retained = {"presence", "status", "health", "countyPresence"}
    sends = ("presence", "status", "health", "fact")
    return {
        f"{'send' if name in sends else 'receive'}{name[0].upper()}{name[1:]}": {
            "action": "send" if name in sends else "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "bindings": {"mqtt": {"qos": 1, "retain": name in retained, "bindingVersion": "0.2.0"}},
        }
        for name in _channels()
    }


def _messages() -> dict[str, Any]:
    simple = {"presence": PRESENCE, "status": STATUS, "health": HEALTH, "ack": ACK, "order": ORDER}
    messages = {
        name: _message(name, {"$ref": f"#/components/schemas/{type(value).__name__}"}, wire.encode(value))
        for name, value in simple.items()
    }
    for fact in EXAMPLES:
        said = {
            "type": {"const": f"window.{fact.type}.v1"},
            "data": {"$ref": f"#/components/schemas/{type(fact).__name__}"},
        }
        schema = {"allOf": [{"$ref": "#/components/schemas/Envelope"}, {"type": "object", "properties": said}]}
        messages[fact.type] = _message(fact.type, schema, fact_payload(fact), type(fact).__doc__)
    return dict(sorted(messages.items()))


def _message(name: str, payload: dict[str, Any], example: bytes, summary: str | None = None) -> dict[str, Any]:
    said = {
        "name": name,
        "payload": payload,
        "examples": [{"name": name.replace(".", "-"), "payload": msgspec.json.decode(example)}],
    }
    return said | ({"summary": summary} if summary else {})


if __name__ == "__main__":
    sys.stdout.write(text())
