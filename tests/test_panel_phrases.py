"""Every text of the window's pages: Chinese, whole, used, and one for each thing that can be refused or go wrong."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from appliance.devices.condition import Reason
from appliance.pages import WEB
from appliance.panel import phrases
from appliance.window import cases, refusal

PANEL = Path(phrases.__file__).parent
WINGS = ("clerk", "resident", "bench", "shared")


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from texts(one)


NAMES = [name for name in vars(phrases) if name.isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_english_in_a_phrase(name: str) -> None:
    for text in texts(getattr(phrases, name)):
        assert not re.search("[A-Za-z]", text), text


@pytest.mark.parametrize("name", NAMES)
def test_every_phrase_is_said_somewhere(name: str) -> None:
    said = [file.read_text() for wing in WINGS for file in (WEB / wing).glob("*.html")]
    said += [file.read_text() for file in PANEL.glob("*.py") if file.name != "phrases.py"]
    said += [(WEB.parent / "appliance" / "pages.py").read_text()]
    inside = Path(phrases.__file__).read_text()
    assert any(re.search(rf"phrases\.{name}\b", text) for text in said) or len(re.findall(rf"\b{name}\b", inside)) > 1


def test_templates_and_scripts_hold_no_text_of_their_own() -> None:
    for wing in WINGS:
        for file in (*(WEB / wing).glob("*.html"), *(WEB / wing).glob("*.js")):
            assert not re.search("[\u4e00-\u9fff]", file.read_text()), file


def test_every_refusal_has_its_sentence() -> None:
    assert set(phrases.REFUSALS) == set(get_args(refusal.Code))


@pytest.mark.parametrize("reason", [reason for reason in get_args(Reason) if reason])
def test_every_reason_of_a_device_has_its_sentence(reason: str) -> None:
    assert reason in phrases.DEVICE_REASONS
    if reason != "near_end":
        assert reason in phrases.PAPER_REASONS


def faults() -> list[tuple[str, str]]:
    """The table at the head of `cases.py`: a field, then its codes."""
    rows = re.findall(r"^    (\w+)(?::<name>)? +((?:\w+ · )*\w+)$", cases.__doc__ or "", re.MULTILINE)
    return [(field, code) for field, codes in rows for code in codes.split(" · ")]


def test_every_fault_that_the_cases_know_has_its_sentence() -> None:
    assert len(faults()) > 12
    assert [(field, code) for field, code in faults() if phrases.fault(field, code) == phrases.FAULT_ELSE] == []


@pytest.mark.parametrize("field", ["material:户口簿", "applicant", "nothing"])
def test_a_fault_without_a_sentence_still_gets_one(field: str) -> None:
    assert phrases.fault(field, "unheard_of") == phrases.FAULT_ELSE
