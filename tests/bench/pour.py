"""A bare paho publisher: `python -m tests.bench.pour PORT TOPIC LEDGER IN_FLIGHT WINDOW` prints the seconds it took.

It publishes every fact that a ledger has not sent at QoS 1, and is done when the broker has confirmed the last one. An
empty TOPIC stands for the topics of the facts themselves.
"""

import sys
import threading
import time
from pathlib import Path

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance import wire
from appliance.ledger import Ledger
from tests.bench.ground import LOOPBACK


def main() -> None:
    port, topic, path, in_flight = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    window = sys.argv[5]
    ledger = Ledger.open(path, window)
    facts = [(topic or wire.window_topic(window, "fact", it.type), it.payload) for it in ledger.unsent(1_000_000)]
    ledger.close()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="pour")
    client.max_inflight_messages_set(in_flight)
    connected, confirmed, done = threading.Event(), [0], threading.Event()

    def confirm(*_: object) -> None:
        confirmed[0] += 1
        if confirmed[0] == len(facts):
            done.set()

    client.on_connect = lambda *_: connected.set()
    client.on_publish = confirm
    client.connect(LOOPBACK, port)
    client.loop_start()
    connected.wait(10)
    began = time.monotonic()
    for where, payload in facts:
        client.publish(where, payload, qos=1)
    done.wait(120)
    print(time.monotonic() - began)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
