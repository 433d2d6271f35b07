"""The county's end as a window sees it: keeps each fact once and acknowledges it as the test wants."""

import threading
from collections.abc import Callable
from datetime import datetime

import msgspec
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from appliance.window.moment import CHINA
from tests.ground_courier.waiting import until

WINDOW = "430602-0107-1"

Answer = Callable[[str, int], list[tuple[int, int]]]
"""Which ranges to acknowledge when a fact of (ledger, seq) has come."""


def at_once(ledger: str, seq: int) -> list[tuple[int, int]]:
    """As the collector does, without its batches."""
    return [(seq, seq)]


def never(ledger: str, seq: int) -> list[tuple[int, int]]:
    """Every acknowledgement is lost."""
    return []


class County:
    """Subscribes to everything; `seen` is every fact in the order of coming, again and again if it comes again."""

    def __init__(self, port: int, answer: Answer = at_once) -> None:
        self.answer = answer
        self.seen: list[tuple[str, int]] = []
        self.payloads: dict[tuple[str, int], bytes] = {}
        self.retained: dict[str, bytes] = {}
        self.history: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"county-{id(self):x}")
        self._client.max_inflight_messages_set(0)
        self._client.on_connect = lambda client, *_: client.subscribe("windows/#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port, 30)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        if topic.split("/")[4] != "fact":
            self.retained[topic] = payload
            self.history.append((topic, payload))
            return
        fact = msgspec.json.decode(payload, type=wire.Envelope)
        ledger, seq = fact.id.split("-")[0], int(fact.sequence)
        with self._lock:
            self.seen.append((ledger, seq))
            self.payloads.setdefault((ledger, seq), payload)
        if ranges := self.answer(ledger, seq):
            self.acknowledge(ledger, ranges)

    def acknowledge(self, ledger: str, ranges: list[tuple[int, int]]) -> None:
        """Say that these have come."""
        self.say(wire.window_topic(WINDOW, "ack"), wire.encode(wire.Ack(ledger=ledger, seqs=ranges)))

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish something as the county."""
        self._client.publish(topic, payload, 1, retain=retain)

    def order(self, order: str, name: str, data: bytes = b"{}") -> None:
        """Order something."""
        said = wire.Order(
            specversion="1.0",
            id=order,
            source="/counties/430602",
            type=f"window.order.{name}.v1",
            time=datetime.now(CHINA),
            data=msgspec.Raw(data),
        )
        self.say(wire.window_topic(WINDOW, "order", name), wire.encode(said))

    def seqs(self) -> list[int]:
        """The sequences in the order of coming, with repetitions."""
        return [seq for _, seq in self.seen]

    def has(self, *seqs: int) -> bool:
        """Whether these have come."""
        return set(seqs) <= set(self.seqs())

    def window_says(self, name: str) -> bytes | None:
        """What is retained under a topic of the window."""
        return self.retained.get(wire.window_topic(WINDOW, name))

    def presence(self) -> wire.Presence | None:
        """The window's presence as last heard."""
        payload = self.window_says("presence")
        return msgspec.json.decode(payload, type=wire.Presence) if payload else None

    def sees_online(self, online: bool = True, seconds: float = 10) -> wire.Presence:
        """Wait for a presence."""

        def said() -> bool:
            presence = self.presence()
            return presence is not None and presence.online is online

        until(said, f"presence online={online}", seconds)
        presence = self.presence()
        assert presence is not None
        return presence

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
