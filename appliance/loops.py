"""Our threads, each with a name; one that ends, ends the process, and systemd brings back a whole one.

A device's loop is not vital: while a library hangs in it, or after one has raised in spite of all guards, that is the
device's fault, and the window goes on. It is started again with a pause.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from appliance.guard import words

log = logging.getLogger(__name__)

Step = Callable[[], None]

PAUSE_S = 5.0
"""Before a device's loop that raised goes on."""


class Loop:
    """One named thread that does a step again and again; a step returns within a few seconds."""

    vital = True

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
                self._round()
                self.ticked = time.monotonic()
        except BaseException:
            self.failed = True
            log.exception("the %s loop ended", self.name)
        finally:
            self._ended.set()

    def _round(self) -> None:
        self._step()

    def late(self, now: float) -> bool:
        """True when the loop has not come round within its allowance."""
        return now - self.ticked > self.allowance


class DeviceLoop(Loop):
    """A loop that drives a device: late or failed, it is the device's fault, said by `fails` with a reason and words.

    `forgets` makes whoever reports for the device say anew how it is, once the loop comes round again.
    """

    vital = False

    def __init__(
        self,
        name: str,
        step: Step,
        ended: threading.Event,
        allowance: float,
        fails: Callable[[str, str], None],
        forgets: Step,
    ) -> None:
        super().__init__(name, step, ended, allowance)
        self._fails = fails
        self._forgets = forgets
        self._faulty = threading.Event()

    def _round(self) -> None:
        if self._faulty.is_set():
            self._faulty.clear()
            self._forgets()
        try:
            self._step()
        except BaseException as error:
            log.exception("the %s loop failed and goes on in %g s", self.name, PAUSE_S)
            self._fails("error", words(error))
            self._faulty.set()
            self._ended.wait(PAUSE_S)

    def hangs(self) -> None:
        """Say once that the loop has not come round for too long."""
        if self._faulty.is_set():
            return
        log.error("the %s loop hangs", self.name)
        self._fails("hung", f"for more than {self.allowance:g} s")
        # Only now: a loop that comes round in this moment must not forget before there is something to take back.
        self._faulty.set()


class Loops:
    """All loops of a program, and the thread that waits for their end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.told_to_end = False
        """Whether a signal asked for the end."""
        self._loops: list[Loop] = []

    def add(self, name: str, step: Step, allowance: float = 30.0) -> None:
        """A loop of that name; `allowance` is how many seconds a round may take before the watchdog is not fed."""
        self._loops.append(Loop(name, step, self.ended, allowance))

    def add_device(
        self,
        name: str,
        step: Step,
        *,
        fails: Callable[[str, str], None],
        forgets: Step = lambda: None,
        allowance: float = 30.0,
    ) -> None:
        """A device's loop, whose lateness is the device's fault and not the window's end."""
        self._loops.append(DeviceLoop(name, step, self.ended, allowance, fails, forgets))

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
            self.told_to_end = True
            self.ended.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)

    @staticmethod
    def leave_signals() -> None:
        """From now on SIGTERM and SIGINT end the program at once, as before `stop_on_signals`."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def late(self, *, vital: bool = False) -> list[str]:
        """The names of the loops that are late: all, or those without which there is no window."""
        return [loop.name for loop in self._late() if loop.vital or not vital]

    def _late(self) -> list[Loop]:
        now = time.monotonic()
        return [loop for loop in self._loops if loop.late(now)]

    def wait(self, feed: Step | None = None, every: float = 5.0) -> None:
        """Wait for the end, feeding the watchdog while no vital loop is late."""
        while not self.ended.wait(every):
            for loop in self._late():
                if isinstance(loop, DeviceLoop):
                    loop.hangs()
            late = self.late(vital=True)
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
