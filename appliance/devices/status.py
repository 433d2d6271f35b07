"""What a printer's one-byte answers mean: to `DLE EOT n`, asked at any time, and to `GS r 1` at the end of a job."""

from collections.abc import Mapping

from appliance.devices.condition import Condition, Outcome

QUESTIONS = (1, 2, 4)
"""`10 04 n`: the printer, why it is offline, the paper."""

_ECHO = 0x10
"""The first byte of the question itself: whatever sends that back is no printer."""


def question(number: int) -> bytes:
    """The three bytes that ask; a printer answers them even while it holds back a job."""
    return bytes([0x10, 0x04, number])


def is_echo(byte: int) -> bool:
    """Whether the byte is our own question come back."""
    return byte == _ECHO


def fits(number: int, byte: int) -> bool:
    """Whether a byte can be the answer: bits 1 and 4 set, 0 clear, and 7 clear except in the first."""
    return byte & (0x13 if number == 1 else 0x93) == 0x12


def judge(answers: Mapping[int, int]) -> Condition:
    """The condition that the answers (question to byte) tell; a missing one leaves it unknown unless another is bad."""
    printer, cause, paper = (answers.get(number, 0) for number in QUESTIONS)
    if cause & 0x04:
        return Condition("bad", "cover_open")
    if paper & 0x60 or cause & 0x20:
        return Condition("bad", "paper_out")
    if cause & 0x40:
        return Condition("bad", "error")
    if printer & 0x08:
        return Condition("bad", "offline")
    if len(answers) < len(QUESTIONS):
        return Condition("unknown", "no_answer")
    return Condition("ok", "near_end" if paper & 0x0C else "")


def job_end(byte: int) -> Outcome | None:
    """What an answer to `GS r 1` says of the job before it; None for a byte that is no such answer."""
    if byte not in (0x00, 0x03, 0x0C, 0x0F):
        return None
    if byte & 0x0C:
        return Outcome("unconfirmed", "paper_out")
    return Outcome("confirmed", "near_end" if byte else "")
