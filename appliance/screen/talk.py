"""What a browser is told and says: DevTools messages over two pipes, each a JSON text that ends with a zero byte."""

import json
import os
import select
from collections import deque
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

MOST = 4_000_000
"""Bytes of one message; ours have some hundred. Whoever says more is no browser."""


class NoAnswer(Exception):
    """What was asked was not answered in time, or with an error."""


class Gone(Exception):
    """The browser has ended, or has closed its page."""


class Event(NamedTuple):
    """What the browser says by itself."""

    method: str
    params: dict[str, Any]


class Talk:
    """The watcher's end of the two pipes; one thread uses it."""

    def __init__(self, told: int, heard: int) -> None:
        self._told, self._heard = told, heard
        # A browser that is stopped reads nothing: a full pipe must not stop the watcher too.
        os.set_blocking(told, False)
        self._numbers = count(1)
        self._awaited = 0
        self._answers: list[dict[str, Any]] = []
        self._events: deque[Event] = deque()
        self._rest = b""

    def ask(self, method: str, within: float, session: str | None = None, **params: object) -> dict[str, Any]:
        """The answer to one command; NoAnswer when `within` seconds bring none, or when it is an error."""
        deadline = monotonic() + within
        self._awaited = self.tell(method, session, **params)
        self._answers.clear()
        while not self._answers:
            left = deadline - monotonic()
            if left <= 0:
                raise NoAnswer(f"no answer to {method} in {within:g} s")
            self._receive(left)
        answer = self._answers.pop()
        if "error" in answer:
            raise NoAnswer(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def tell(self, method: str, session: str | None = None, **params: object) -> int:
        """Send one command and wait for nothing; its number."""
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        words = json.dumps(message).encode() + b"\0"
        try:
            sent = os.write(self._told, words)
        except BlockingIOError as full:
            raise NoAnswer(f"{method} cannot be sent: the browser reads nothing") from full
        except OSError as broken:
            raise Gone(f"the browser ended ({broken})") from broken
        if sent != len(words):
            raise NoAnswer(f"{method} cannot be sent whole: the browser reads nothing")
        return number

    def hear(self, within: float) -> Event | None:
        """The next event, None when `within` seconds bring none."""
        deadline = monotonic() + within
        while not self._events:
            left = deadline - monotonic()
            if left <= 0:
                return None
            self._receive(left)
        return self._events.popleft()

    def forget(self) -> None:
        """What was said until now is about a page that is being left."""
        self._events.clear()

    def close(self) -> None:
        """Hang up; a browser that loses its pipe ends by itself."""
        os.close(self._told)
        os.close(self._heard)

    def _receive(self, within: float) -> None:
        if not select.select([self._heard], [], [], within)[0]:
            return
        said = os.read(self._heard, 65_536)
        if not said or len(self._rest) > MOST:
            raise Gone("the browser ended" if not said else "the browser says what no browser says")
        *messages, self._rest = (self._rest + said).split(b"\0")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("id") == self._awaited:
            self._answers.append(message)
        elif "method" in message:
            self._events.append(Event(message["method"], message.get("params", {})))
