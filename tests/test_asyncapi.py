"""The published document says what both ends really say: every example, and every message on a real wire."""

from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import asyncapi, story, wire
from appliance.asyncapi_text import ABOUT
from appliance.county import acks, asking, ledgers
from appliance.county.book import Book
from appliance.county.inlet import Arrived
from appliance.county.reading import LARGEST, Letter, Reader, Sighting
from appliance.courier import flight, letters
from appliance.ledger import Kept
from appliance.window.facts import FACT_TYPES, AnyFact, CaseReceived
from tests.ground_county import Running
from tests.ground_courier.brokers import Mosquitto
from tests.ground_courier.waiting import until
from tests.ground_courier.window import Window

FILE = Path(asyncapi.__file__).with_suffix(".json")
DOCUMENT: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())
MORNING = story.morning()


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


def test_every_schema_and_message_is_used() -> None:
    used = set(references(DOCUMENT))
    for kind in ("schemas", "messages"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, name


def test_every_fact_type_that_is_sent_is_there_and_no_other() -> None:
    sent = {kind.type for kind in get_args(AnyFact)}
    assert set(DOCUMENT["channels"]["fact"]["messages"]) == sent
    assert set(DOCUMENT["channels"]["fact"]["parameters"]["type"]["enum"]) == sent
    assert {fact.type for fact in MORNING.facts} == sent


def test_the_words_have_the_numbers_of_the_code() -> None:
    assert flight.WINDOW == wire.MAX_IN_FLIGHT
    assert asking.PART <= wire.MAX_REPLAY
    assert acks.RUNS <= wire.MAX_RANGES
    assert LARGEST == {"fact": 256 * 1024, "health": 64 * 1024, "status": 16 * 1024, "presence": 1024}
    assert f"at most {ledgers.MOST} ledgers in its life" in ABOUT
    assert f"within {flight.patience(1, 0.5):g} s" in ABOUT


def test_what_no_end_says_or_asks_for_yet_stands_nowhere() -> None:
    assert not [name for name, channel in DOCUMENT["channels"].items() if "documents" in channel["address"]]
    assert not [topic for topic in letters.topics(story.WINDOW) if "documents" in topic]
    assert set(DOCUMENT["channels"]["order"]["messages"]) == {"order.replay"}


@pytest.mark.parametrize("message", sorted(DOCUMENT["components"]["messages"]))
def test_every_example_is_valid(message: str) -> None:
    (example,) = DOCUMENT["components"]["messages"][message]["examples"]
    assert faults(message, msgspec.json.encode(example["payload"])) == []


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (wire.window_topic(story.WINDOW, "presence"), "presence"),
        (wire.window_topic(story.WINDOW, "status"), "status"),
        (wire.window_topic(story.WINDOW, "health"), "health"),
        (wire.window_topic(story.WINDOW, "ack"), "ack"),
        (wire.window_topic(story.WINDOW, "order", "replay"), "order.replay"),
        (wire.window_topic(story.WINDOW, "order", "sing"), None),
        (wire.window_topic(story.WINDOW, "fact", "rating.given"), "rating.given"),
        (wire.window_topic(story.WINDOW, "fact", "rating.sung"), None),
        (wire.county_topic("430602", "county", "presence"), "presence"),
        (wire.county_topic("430602", "documents", "catalogue"), None),
        ("windows/v2/430602/430602-0107-1/presence", None),
    ],
)
def test_a_topic_leads_to_its_message(topic: str, message: str | None) -> None:
    assert asyncapi.message_of(topic) == message


def letter_of(kept: Kept) -> Letter:
    topic = wire.window_topic(story.WINDOW, "fact", kept.type).encode()
    letter = Reader(story.COUNTY).read(Arrived(topic, kept.payload, len(kept.payload), False))
    assert isinstance(letter, Letter)
    return letter


@pytest.mark.parametrize("kept", MORNING.facts, ids=lambda kept: f"{kept.seq}-{kept.type}")
def test_the_county_reads_every_fact_of_the_story(kept: Kept) -> None:
    letter = letter_of(kept)
    assert letter.known
    assert msgspec.json.encode(letter.fact) == msgspec.json.encode(msgspec.json.decode(kept.payload)["data"])
    assert faults(kept.type, kept.payload) == []


def test_the_story_is_one_chain() -> None:
    before = None
    for kept in MORNING.facts:
        assert letter_of(kept).prevhash == wire.prevhash(before)
        before = kept.payload


def test_the_examples_are_what_happens_at_a_window() -> None:
    cases = [letter_of(kept).fact for kept in MORNING.facts if kept.type == CaseReceived.type]
    at_once, promised = cases
    assert isinstance(at_once, CaseReceived)
    assert isinstance(promised, CaseReceived)
    assert (at_once.promised_days, at_once.due, at_once.due_is) == (0, None, "at_once")
    assert (promised.promised_days, promised.due_is) == (30, "tentative")
    assert at_once.case == "0107-1-20261123-3F001"
    assert at_once.paper == "0107-1-20261123-3F001-0"


@pytest.mark.parametrize(("kind", "value"), [("status", MORNING.status), ("health", MORNING.health)])
def test_the_county_reads_the_other_examples(kind: str, value: msgspec.Struct) -> None:
    payload = wire.encode(value)
    seen = Reader(story.COUNTY).read(
        Arrived(wire.window_topic(story.WINDOW, kind).encode(), payload, len(payload), True)
    )
    assert isinstance(seen, Sighting)
    assert seen.value == value


def test_the_window_reads_what_the_county_says() -> None:
    newest = MORNING.facts[-1].seq

    def read(*topic: str, said: msgspec.Struct) -> letters.Letter:
        return letters.read(
            story.WINDOW, story.LEDGER, newest, wire.window_topic(story.WINDOW, *topic), wire.encode(said)
        )

    assert read("ack", said=MORNING.ack) == letters.Acked(MORNING.ack.seqs)
    ordered = read("order", "replay", said=MORNING.replay)
    assert isinstance(ordered, letters.Ordered)
    assert ordered.replay == wire.Replay(ledger=story.LEDGER, first=3, last=5, by="county")
    assert f'"order":"{ordered.order}"'.encode() in MORNING.fact("order.done").payload


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "17"}, "an id that is none"),
        ({"sequence": 17}, "a number where text is due"),
        ({"prevhash": "00"}, "half a hash"),
        ({"type": "window.rating.changed.v1"}, "another type"),
        ({"data": {"grade": 9, "visit": "x"}}, "a sixth grade"),
        ({"data": {"grade": 4}}, "no visit"),
        ({"data": {"grade": 4, "visit": "x" * 65}}, "a visit without end"),
        ({"data": {"grade": 4, "visit": "a\0b"}}, "U+0000"),
        ({"time": "2026-11-22T09:00:00"}, "a time without an offset"),
        ({"time": "9999-11-22T09:00:00Z"}, "a time of another age"),
        ({"source": "/windows/430602"}, "no window"),
        ({"datacontenttype": "text/plain"}, "other data"),
    ],
)
def test_what_is_wrong_is_found(change: dict[str, Any], why: str) -> None:
    (example,) = DOCUMENT["components"]["messages"]["rating.given"]["examples"]
    assert faults("rating.given", msgspec.json.encode({**example["payload"], **change})), why


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
    for kept in MORNING.facts:
        window.commit(fact=letter_of(kept).fact)
    until(lambda: window.ledger.backlog()[0] == 0, "the window knows that the county has all of it")
    assert collector.book.numbers()["", "facts"] == len(MORNING.facts)
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
