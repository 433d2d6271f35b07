"""What a printer's one-byte answers mean."""

import pytest

from appliance.devices.condition import Condition, Outcome
from appliance.devices.status import fits, job_end, judge, question


@pytest.mark.parametrize(
    ("answers", "condition"),
    [
        ({1: 0x12, 2: 0x12, 4: 0x12}, Condition("ok")),
        ({1: 0x92, 2: 0x12, 4: 0x12}, Condition("ok")),
        ({1: 0x12, 2: 0x12, 4: 0x1E}, Condition("ok", "near_end")),
        ({1: 0x1A, 2: 0x12, 4: 0x12}, Condition("bad", "offline")),
        ({1: 0x1A, 2: 0x16, 4: 0x12}, Condition("bad", "cover_open")),
        ({1: 0x1A, 2: 0x32, 4: 0x7E}, Condition("bad", "paper_out")),
        ({1: 0x1A, 2: 0x12, 4: 0x72}, Condition("bad", "paper_out")),
        ({1: 0x1A, 2: 0x36, 4: 0x7E}, Condition("bad", "cover_open")),
        ({1: 0x1A, 2: 0x52, 4: 0x12}, Condition("bad", "error")),
        ({1: 0x1A}, Condition("bad", "offline")),
        ({1: 0x12, 2: 0x16}, Condition("bad", "cover_open")),
        ({1: 0x12}, Condition("unknown", "no_answer")),
        ({}, Condition("unknown", "no_answer")),
    ],
)
def test_answers_tell_ok_bad_or_unknown(answers: dict[int, int], condition: Condition) -> None:
    assert judge(answers) == condition


def test_only_bytes_with_the_fixed_bits_are_answers() -> None:
    accepted = [byte for byte in range(256) if fits(2, byte)]
    assert all(byte & 0x93 == 0x12 for byte in accepted)
    assert len(accepted) == 16
    assert fits(1, 0x92)
    assert not fits(4, 0x92)
    assert not fits(1, 0x11), "XON"
    assert not fits(1, 0x13), "XOFF"
    assert not fits(1, 0x00)
    assert not fits(1, 0xFF)


@pytest.mark.parametrize(
    ("byte", "outcome"),
    [
        (0x00, Outcome("confirmed")),
        (0x03, Outcome("confirmed", "near_end")),
        (0x0C, Outcome("unconfirmed", "paper_out")),
        (0x0F, Outcome("unconfirmed", "paper_out")),
        (0x12, None),
        (0x01, None),
        (0x1D, None),
        (0x72, None),
        (0xFF, None),
        (ord("?"), None),
    ],
)
def test_the_end_of_a_job_is_answered_by_the_paper_sensors_and_by_nothing_else(
    byte: int, outcome: Outcome | None
) -> None:
    assert job_end(byte) == outcome


def test_nothing_that_we_send_comes_back_as_a_confirmation() -> None:
    assert [byte for byte in b"\x1dr\x01" + b"".join(map(question, (1, 2, 4))) if job_end(byte)] == []
