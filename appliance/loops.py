"""Our threads, each with a name; one that ends, ends the process, and systemd brings back a whole one."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

Step = Callable[[], None]


class Loop:
    """One named thread that does a step again and again; a step returns within a few seconds."""

    def __init__(self, name: str, step: Step, ended: threading.Event, allowance: float) -> None:
        self.name = name
        self.allowance = allowance
        self.ticked = time.monotonic()
        self.failed = False
        self._step = step
        self._ended = ended
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._step()
                self.ticked = time.monotonic()
        except BaseException:
            self.failed = True
            log.exception("the %s loop ended", self.name)
        finally:
            self._ended.set()

    def late(self, now: float) -> bool:
        """True when the loop has not come round within its allowance."""
        return now - self.ticked > self.allowance


class Loops:
    """All loops of a program, and the thread that waits for their end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._loops: list[Loop] = []

    def add(self, name: str, step: Step, allowance: float = 30.0) -> None:
        """A loop of that name; `allowance` is how many seconds a round may take before the watchdog is not fed."""
        self._loops.append(Loop(name, step, self.ended, allowance))

    def start(self) -> None:
        """Start those not yet started."""
        for loop in self._loops:
            if not loop.thread.ident:
                loop.ticked = time.monotonic()
                loop.thread.start()

    def stop(self) -> None:
        """Ask all of them to end after their present step."""
        self.ended.set()

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end the program in good order. Call it from the main thread."""

        def end(_number: int, _frame: FrameType | None) -> None:
            self.ended.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)

    def late(self) -> list[str]:
        """The names of the loops that are late."""
        now = time.monotonic()
        return [loop.name for loop in self._loops if loop.late(now)]

    def wait(self, feed: Step | None = None, every: float = 5.0) -> None:
        """Wait for the end, feeding the watchdog while no loop is late."""
        while not self.ended.wait(every):
            late = self.late()
            if late:
                log.error("late: %s; the watchdog is not fed", ", ".join(late))
            elif feed is not None:
                feed()

    def join(self, within: float = 5.0) -> None:
        """Wait for every loop to finish its present step, `within` seconds for all of them."""
        deadline = time.monotonic() + within
        for loop in self._loops:
            if loop.thread.ident:
                loop.thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def sound(self) -> bool:
        """True while no loop has failed."""
        return not any(loop.failed for loop in self._loops)
