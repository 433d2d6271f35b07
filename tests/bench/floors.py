"""The floors: the least that a press on a wire can cost in Python, with and without a disk between.

`python -m tests.bench.floors bare PORT` and `… durable PORT DATABASE` press, commit where told to, and publish: no
debounce, no rules, no queue. The third floor is a paced FULL commit alone, `Commits`.
"""

import sqlite3
import sys
import threading
import time
from pathlib import Path

from tests.bench.wiring import KEYS

PAYLOAD_BYTES = 450
"""As long as a fact of ours in its envelope."""
LOG_BYTES = 6 * 1024 * 1024


class Commits:
    """SQLite, WAL, synchronous=FULL, one row a commit, as in a ledger.

    Its log is grown first: a commit then overwrites blocks that the file has, and the file system's journal, which
    others on the machine keep busy, stays out of it. No commit of a floor may be slower than it has to be.
    """

    def __init__(self, database: Path) -> None:
        self._base = sqlite3.connect(database, check_same_thread=False)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.execute("CREATE TABLE facts (seq INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL)")
        self._base.execute("INSERT INTO facts (payload) VALUES (zeroblob(?))", (LOG_BYTES,))
        self._base.commit()
        self._base.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()

    def commit(self, payload: bytes) -> None:
        """One row, on the disk when it returns."""
        self._base.execute("INSERT INTO facts (payload) VALUES (?)", (payload,))
        self._base.commit()

    def paced(self, times: int, every_s: float) -> list[float]:
        """Commit so many times, so many seconds apart; the milliseconds that each took."""
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            self.commit(b"x" * PAYLOAD_BYTES)
            taken.append((time.perf_counter() - began) * 1000)
            time.sleep(max(0.0, every_s - (time.perf_counter() - began)))
        return taken

    def close(self) -> None:
        """Close the file."""
        self._base.close()


def main() -> None:
    kind, port, *rest = sys.argv[1:]
    from gpiozero import Button, Device
    from gpiozero.pins.mock import MockFactory
    from paho.mqtt import client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    Device.pin_factory = MockFactory()
    commits = Commits(Path(rest[0])) if kind == "durable" else None
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"floor-{kind}")
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    payload = b"x" * PAYLOAD_BYTES

    def pressed() -> None:
        if commits is not None:
            commits.commit(payload)
        client.publish(f"floor/{kind}", payload, qos=1)

    buttons = [Button(pin, pull_up=True) for pin in KEYS]
    for button in buttons:
        button.when_pressed = pressed
    client.publish(f"ready/{kind}", b"1", qos=1, retain=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
