"""A receipt printer: how it is, and one job at a time with an honest outcome; nothing its port raises leaves it."""

import time
from collections.abc import Callable
from typing import Protocol

from appliance.devices.condition import Condition, Outcome
from appliance.devices.ports import Port, reason_of
from appliance.devices.status import QUESTIONS, fits, is_echo, job_end, judge, question
from appliance.guard import DeviceTrouble, guarded, let_go

_TICK_S = 0.05


class Printer(Protocol):
    """What prints papers at a window."""

    def condition(self) -> Condition:
        """How the printer is now; takes about a second at most."""

    def carry_out(self, job: bytes) -> Outcome:
        """Print one job, whole as `escpos.paint` made it; returns when its outcome is known or its deadline past."""


class EscPosPrinter:
    """A printer at the other end of a port, opened for each question and each job so that one that comes back is found.

    `answer_s` is the deadline for a status byte, `confirm_s` for the end of a job, `mute_s` the same for a printer that
    did not answer before the job either.
    """

    def __init__(
        self,
        port: Port,
        *,
        answer_s: float = 0.4,
        confirm_s: float = 6.0,
        mute_s: float = 2.0,
        slack_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._answer_s = answer_s
        self._confirm_s = confirm_s
        self._mute_s = mute_s
        self._slack_s = slack_s
        self._clock = clock
        self._sent = 0
        self._owed = False

    def condition(self) -> Condition:
        try:
            with guarded(reason_of):
                self._port.open()
                return self._ask_all()
        except DeviceTrouble as trouble:
            return Condition("bad", trouble.reason, trouble.detail)
        finally:
            self._let_go()

    def carry_out(self, job: bytes) -> Outcome:
        self._sent = 0
        try:
            with guarded(reason_of):
                self._port.open()
                return self._print(job)
        except DeviceTrouble as trouble:
            if self._sent:
                reason = "unplugged" if trouble.reason == "absent" else trouble.reason
                return Outcome("unconfirmed", reason, trouble.detail)
            return Outcome("failed", trouble.reason, trouble.detail)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        let_go("the printer's port", self._port.close)

    def _print(self, job: bytes) -> Outcome:
        before = self._ask_all()
        if before.state == "bad":
            return Outcome("failed", before.reason, before.detail)
        until = self._clock() + len(job) * 10 / self._port.bits_per_second * 2 + self._slack_s
        while self._sent < len(job):
            left = until - self._clock()
            if left <= 0:
                return self._stalled(job)
            self._sent += self._port.write(job[self._sent :], left)
        return self._confirmation(job, until, self._confirm_s if before.state == "ok" else self._mute_s)

    def _stalled(self, job: bytes) -> Outcome:
        return Outcome("unconfirmed" if self._sent else "failed", "stalled", f"{self._sent} of {len(job)} bytes")

    def _confirmation(self, job: bytes, until: float, patience: float) -> Outcome:
        """Hear the answer to the end of the job; `patience` seconds count from when its last byte left this machine."""
        leaving = True
        while (left := until - self._clock()) > 0:
            if leaving and not self._port.unsent():
                leaving, until = False, self._clock() + patience
                continue
            answer = self._port.read(min(left, _TICK_S) if leaving else left)
            if answer and (outcome := job_end(answer[0])):
                return outcome
        if leaving:
            return self._stalled(job)
        # It may have run out of paper meanwhile: then it holds the rest, and prints it after the refill.
        after = self._ask_all()
        return Outcome("unconfirmed", after.reason if after.state == "bad" else "no_answer", after.detail)

    def _ask_all(self) -> Condition:
        """Ask each question; the first that is not answered is the last."""
        if self._owed:
            self._hear_out()
        answers: dict[int, int] = {}
        for number in QUESTIONS:
            answer = self._ask(number)
            if isinstance(answer, Condition):
                return answer if not answers else judge(answers)
            answers[number] = answer
        return judge(answers)

    def _hear_out(self) -> None:
        """Let a late answer pass: the kernel or the printer may hold it for as long as nobody reads."""
        until = self._clock() + self._answer_s
        while (left := until - self._clock()) > 0:
            self._port.read(left)
        self._owed = False

    def _ask(self, number: int) -> int | Condition:
        """The answer to one question, or what not answering it means."""
        self._port.discard_input()
        if self._port.write(question(number), self._answer_s) < len(question(number)):
            return Condition("unknown", "stalled")
        until = self._clock() + self._answer_s
        strange: set[int] = set()
        while (left := until - self._clock()) > 0:
            answer = self._port.read(left)
            if not answer:
                break
            if is_echo(answer[0]):
                return Condition("bad", "wrong_port", "what is connected sends back what it is sent")
            if fits(number, answer[0]):
                return answer[0]
            strange.add(answer[0])
        self._owed = True
        heard = " ".join(f"{byte:02x}" for byte in sorted(strange))
        return Condition("unknown", "strange_answer" if strange else "no_answer", heard)
