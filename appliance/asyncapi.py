"""The wire as a document that any client can read: AsyncAPI 3, made from the same structs that both ends speak with.

`python -m appliance.asyncapi` prints it; `asyncapi.json` beside this file is that text, and a test keeps it so. Every
example is what the code that makes the real thing made of a morning (`story.py`).
"""

import re
import sys
from typing import Any, Final

import msgspec

from appliance import story, wire
from appliance.asyncapi_text import ABOUT
from appliance.window.facts import FACT_TYPES

ORDERS: Final = {"replay": wire.Replay}
"""The orders of this version, each with its data."""


class Envelope(wire.Envelope, frozen=True, kw_only=True):
    __doc__ = wire.Envelope.__doc__
    # The wire keeps it raw; whoever reads the document wants to know that it is an object.
    data: dict[str, Any]  # type: ignore[assignment]


class Order(wire.Order, frozen=True, kw_only=True):
    __doc__ = wire.Order.__doc__
    data: dict[str, Any]  # type: ignore[assignment]


def document() -> dict[str, Any]:
    """The whole document, as plain JSON values."""
    structs = [Envelope, wire.Presence, wire.Status, wire.Health, wire.Ack, Order, *ORDERS.values()]
    structs.extend(FACT_TYPES.values())
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.1.0",
        "id": "urn:medical-insurance-window:wire:v1",
        "info": {"title": "A service window and its county", "version": "1.0.0", "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": dict(sorted(schemas.items()))},
    }


def text() -> str:
    """The document as it stands in the file."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n"


def message_of(topic: str) -> str | None:
    """The name of the message that the document has for a topic, None for a topic that it does not have."""
    for channel in _channels().values():
        found = re.fullmatch(re.sub(r"\\{([a-z]+)\\}", r"(?P<\1>[^/]+)", re.escape(channel["address"])), topic)
        if found:
            messages, said = list(channel["messages"]), found.groupdict()
            name = said.get("type") or (f"order.{said['name']}" if "name" in said else messages[0])
            return name if name in messages else None
    return None


# ---- the parts ----------------------------------------------------------------------------------------------------

_COUNTY: Final = {"description": "GB/T 2260 code of the county, six digits.", "examples": [story.COUNTY]}
_WINDOW: Final = {
    "description": "{county}-{site}-{number}; also its MQTT client id and the common name of its certificate.",
    "examples": [story.WINDOW],
}


_ORDER_MESSAGES: Final = [f"order.{name}" for name in ORDERS]


def _channels() -> dict[str, Any]:
    own = "windows/v1/{county}/{window}/"
    return {
        "presence": _channel(own + "presence", ["presence"], "A window's word that it is there, and its last will."),
        "status": _channel(own + "status", ["status"], "What anyone may see of the window now."),
        "health": _channel(own + "health", ["health"], "How its parts are; on change, and every 60 s."),
        "fact": _channel(own + "fact/{type}", sorted(FACT_TYPES), "What happened, once each, chained by prevhash."),
        "ack": _channel(own + "ack", ["ack"], "The county has committed these; only now the window's duty ends."),
        "order": _channel(own + "order/{name}", _ORDER_MESSAGES, "What the county wants the window to do."),
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
        parameters["name"] = {"description": "What is ordered; also in the order's type.", "enum": list(ORDERS)}
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
    lived = story.morning()
    simple = {"presence": lived.presence, "status": lived.status, "health": lived.health, "ack": lived.ack}
    messages = {
        name: _message(name, _of(type(value)), wire.encode(value), type(value).__doc__)
        for name, value in simple.items()
    }
    for name, data in ORDERS.items():
        schema = _within(Order, f"window.order.{name}.v1", data)
        messages[f"order.{name}"] = _message(f"order.{name}", schema, wire.encode(lived.replay), data.__doc__)
    for name, fact in FACT_TYPES.items():
        schema = _within(Envelope, f"window.{name}.v1", fact)
        messages[name] = _message(name, schema, lived.fact(name).payload, fact.__doc__)
    return dict(sorted(messages.items()))


def _of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _within(envelope: type[msgspec.Struct], type_: str, data: type[msgspec.Struct]) -> dict[str, Any]:
    said = {"type": {"const": type_}, "data": _of(data)}
    return {"allOf": [_of(envelope), {"type": "object", "properties": said}]}


def _message(name: str, payload: dict[str, Any], example: bytes, summary: str | None) -> dict[str, Any]:
    said = {
        "name": name,
        "payload": payload,
        "examples": [{"name": name.replace(".", "-"), "payload": msgspec.json.decode(example)}],
    }
    return said | ({"summary": summary} if summary else {})


if __name__ == "__main__":
    sys.stdout.write(text())
