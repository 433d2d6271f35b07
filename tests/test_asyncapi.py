"""The published document says what both ends really say: every example, and every message on a real wire."""

from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import asyncapi, wire
from appliance.county.book import Book
from appliance.county.inlet import Arrived
from appliance.county.reading import Letter, Reader, Sighting
from appliance.window.facts import FACT_TYPES, Fact
from tests.ground_county import Running
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.waiting import until
from tests.ground_courier.window import Window

FILE = Path(asyncapi.__file__).with_suffix(".json")
DOCUMENT: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())


def faults(message: str, payload: bytes) -> list[str]:
    """What the document finds wrong with a payload of that message."""
    schema = {**DOCUMENT["components"]["messages"][message]["payload"], "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(msgspec.json.decode(payload))]


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in references(value)]
    return [ref for value in part for ref in references(value)] if isinstance(part, list) else []


def test_the_file_is_what_the_structs_make() -> None:
    assert FILE.read_text(encoding="utf-8") == asyncapi.text(), (
        "run: python -m appliance.asyncapi > appliance/asyncapi.json"
    )


def test_every_reference_leads_somewhere() -> None:
    for ref in references(DOCUMENT):
        part: Any = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            assert step in part, ref
            part = part[step]


def test_every_fact_type_has_one_example() -> None:
    assert sorted(fact.type for fact in asyncapi.EXAMPLES) == sorted(FACT_TYPES)
    assert set(FACT_TYPES) == set(DOCUMENT["channels"]["fact"]["messages"])


@pytest.mark.parametrize("message", sorted(DOCUMENT["components"]["messages"]))
def test_every_example_is_valid(message: str) -> None:
    (example,) = DOCUMENT["components"]["messages"][message]["examples"]
    assert faults(message, msgspec.json.encode(example["payload"])) == []


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (wire.window_topic(asyncapi.WINDOW, "presence"), "presence"),
        (wire.window_topic(asyncapi.WINDOW, "status"), "status"),
        (wire.window_topic(asyncapi.WINDOW, "health"), "health"),
        (wire.window_topic(asyncapi.WINDOW, "ack"), "ack"),
        (wire.window_topic(asyncapi.WINDOW, "order", "identify"), "order"),
        (wire.window_topic(asyncapi.WINDOW, "fact", "rating.given"), "rating.given"),
        (wire.window_topic(asyncapi.WINDOW, "fact", "rating.sung"), None),
        (wire.county_topic("430602", "county", "presence"), "presence"),
        ("windows/v2/430602/430602-0107-1/presence", None),
    ],
)
def test_a_topic_leads_to_its_message(topic: str, message: str | None) -> None:
    assert asyncapi.message_of(topic) == message


@pytest.mark.parametrize("fact", asyncapi.EXAMPLES, ids=lambda fact: fact.type)
def test_the_county_reads_every_example_fact(fact: Fact) -> None:
    payload = asyncapi.fact_payload(fact)
    topic = wire.window_topic(asyncapi.WINDOW, "fact", fact.type).encode()
    letter = Reader("430602").read(Arrived(topic, payload, len(payload), False))
    assert isinstance(letter, Letter)
    assert letter.fact == fact
    assert faults(fact.type, payload) == []


@pytest.mark.parametrize(("kind", "value"), [("status", asyncapi.STATUS), ("health", asyncapi.HEALTH)])
def test_the_county_reads_the_other_examples(kind: str, value: msgspec.Struct) -> None:
    payload = wire.encode(value)
    seen = Reader("430602").read(
        Arrived(wire.window_topic(asyncapi.WINDOW, kind).encode(), payload, len(payload), True)
    )
    assert isinstance(seen, Sighting)
    assert seen.value == value


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "17"}, "an id that is none"),
        ({"sequence": 17}, "a number where text is due"),
        ({"prevhash": "00"}, "half a hash"),
        ({"type": "window.rating.changed.v1"}, "another type"),
        ({"data": {"grade": 9, "visit": "x"}}, "a sixth grade"),
        ({"data": {"grade": 4}}, "no visit"),
        ({"source": "/windows/430602"}, "no window"),
    ],
)
def test_what_is_wrong_is_found(change: dict[str, Any], why: str) -> None:
    (example,) = DOCUMENT["components"]["messages"]["rating.given"]["examples"]
    assert faults("rating.given", msgspec.json.encode({**example["payload"], **change})), why


@given(st.sampled_from(sorted(FACT_TYPES)), st.integers(1, 10**9))
def test_any_sequence_has_an_id_that_the_document_allows(type_: str, seq: int) -> None:
    fact = next(fact for fact in asyncapi.EXAMPLES if fact.type == type_)
    assert faults(type_, asyncapi.fact_payload(fact, seq)) == []


class Eavesdropper:
    """Hears everything on a broker."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="eavesdropper")
        ready: list[int] = []
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: ready.append(1)
        self._client.on_message = lambda _c, _d, message: self.heard.append((message.topic, bytes(message.payload)))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: ready, "it listens")

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_all_that_a_real_window_and_a_real_county_say_is_in_the_document(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path).start()
    ear = Eavesdropper(broker.port)
    collector = Running(Book(f"sqlite:///{tmp_path}/book.db"), broker.port).connected()
    window = Window(tmp_path, broker.port).start()
    for fact in asyncapi.EXAMPLES:
        window.commit(fact=fact)
    until(lambda: window.ledger.backlog()[0] == 0, "the window knows that the county has all of it")
    assert collector.book.numbers()["", "facts"] == len(asyncapi.EXAMPLES)
    collector.stop()
    until(lambda: any(b'"online":false' in payload for _, payload in ear.heard), "the collector says that it goes")
    window.stop()
    window.ledger.close()
    ear.stop()
    broker.kill()
    assert {asyncapi.message_of(topic) for topic, _ in ear.heard} == {
        "presence",
        "status",
        "health",
        "ack",
        *FACT_TYPES,
    }
    for topic, payload in ear.heard:
        message = asyncapi.message_of(topic)
        assert message is not None, topic
        assert faults(message, payload) == [], topic
