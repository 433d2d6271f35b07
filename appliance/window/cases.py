"""Takes in materials for a matter (收件): checks the form, works out the pick-up day, writes the fact of the receipt.

Nothing is received half: a form with any fault is refused whole, with a code beside each field at fault.

    item                unknown · other_level
    applicant           missing · too_long · control · digits · symbols
    materials           none · unknown · twice
    material:<name>     required · pages_missing · pages_range
    pick_up             missing · past · rest_day · too_far
    form                bad
"""

import unicodedata
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from appliance.window.catalogue import Catalogue, Item, Level
from appliance.window.dating import Today
from appliance.window.facts import CaseReceived, Handed
from appliance.window.happenings import MaterialsArrive
from appliance.window.masks import masked
from appliance.window.moment import CHINA
from appliance.window.refusal import Refused
from appliance.window.view import Clerk
from appliance.window.workdays import Calendar, due

APPLICANT_LENGTH = 40
FORM_LENGTH = 64
MOST_PAGES = 999
FARTHEST_PICK_UP = timedelta(days=366)

# Controls, format marks that turn text round or hide in it, halves of characters, and separators of lines: none is part
# of a name, and an ESC must never come near a printer. Rare and not yet known characters (Lo, Co, Cn) are names.
_NEVER_IN_A_NAME = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Characters newer than this Python's tables, and those that a county keeps in the private area for its own names.
_UNKNOWN = frozenset({"Cn", "Co"})

Faults = dict[str, str]


class PickUp(NamedTuple):
    """When to come back: no day for what is done at once; `tentative` is 暂定, `entered` the clerk's own word."""

    day: date | None
    how: Literal["at_once", "sure", "tentative", "entered"]


def material_field(name: str) -> str:
    """The field under which the faults of one material stand."""
    return f"material:{name}"


def asks_pick_up(item: Item) -> bool:
    """Whether the clerk has to enter the pick-up day, because the county has not said how long the matter takes."""
    return item.promised_working_days is None


def receive(
    happening: MaterialsArrive,
    *,
    catalogue: Catalogue,
    level: Level,
    calendar: Calendar,
    today: Today,
    clerk: Clerk,
    number: str,
    paper: str,
    visit: str | None,
) -> CaseReceived:
    """Take in the materials under the case `number`, for the receipt `paper`.

    Raises Refused("form_incomplete", **faults) with every fault of the form at once; the full name stays behind here.
    """
    item = catalogue.item(happening.item)
    faults = _faults_of_form(happening.form) | _faults_of_applicant(happening.applicant)
    if item is None:
        raise Refused("form_incomplete", **faults, item="unknown")
    if level not in item.levels:
        raise Refused("form_incomplete", **faults, item="other_level")
    faults |= _faults_of_materials(happening.materials, item)
    faults |= _faults_of_pick_up(happening.pick_up, item, today.day, calendar)
    if faults:
        raise Refused("form_incomplete", **faults)
    pick_up = work_out(item, today, happening.pick_up, calendar)
    return CaseReceived(
        case=number,
        item=item.key,
        item_name=item.name,
        catalogue=catalogue.version,
        applicant=masked(happening.applicant),
        received=datetime.combine(today.day, happening.at.at.astimezone(CHINA).timetz()),
        materials=happening.materials,
        promised_days=item.promised_working_days,
        due=pick_up.day,
        due_is=pick_up.how,
        clerk=clerk.number,
        clerk_name=clerk.name,
        paper=paper,
        form=happening.form,
        visit=visit,
        dated="clock" if today.sure else "clerk",
    )


def work_out(item: Item, today: Today, entered: date | None, calendar: Calendar) -> PickUp:
    """Find the pick-up day of an item received today; `entered` counts only where no promise is known.

    While no trusted clock says which day it is, every day is tentative.
    """
    if item.at_once:
        return PickUp(None, "at_once")
    if item.promised_working_days is None:
        return PickUp(entered, "entered" if today.sure else "tentative")
    last = due(today.day, item.promised_working_days, calendar)
    return PickUp(last.day, "sure" if last.sure and today.sure else "tentative")


def _faults_of_form(form: str) -> Faults:
    good = 0 < len(form) <= FORM_LENGTH and form.isascii() and form.isprintable()
    return {} if good else {"form": "bad"}


def _faults_of_applicant(name: str) -> Faults:
    if not name.strip():
        return {"applicant": "missing"}
    if len(name) > APPLICANT_LENGTH:
        return {"applicant": "too_long"}
    kinds = {unicodedata.category(character) for character in name.strip()}
    if kinds & _NEVER_IN_A_NAME:
        return {"applicant": "control"}
    if "Nd" in kinds:
        return {"applicant": "digits"}
    written = any(kind[0] == "L" or kind in _UNKNOWN for kind in kinds)
    return {"applicant": "symbols"} if not written or any(kind[0] == "S" for kind in kinds) else {}


def _faults_of_materials(handed: tuple[Handed, ...], item: Item) -> Faults:
    names = {material.name for material in handed}
    faults: Faults = {}
    if not handed:
        faults["materials"] = "none"
    elif any(item.material(name) is None for name in names):
        faults["materials"] = "unknown"
    elif len(names) != len(handed):
        faults["materials"] = "twice"
    for material in item.materials:
        if material.required and material.name not in names:
            faults[material_field(material.name)] = "required"
    for ticked in handed:
        if (fault := _fault_of_pages(ticked.pages)) and item.material(ticked.name):
            faults[material_field(ticked.name)] = fault
    return faults


def _fault_of_pages(pages: int | None) -> str | None:
    if pages is None:
        return "pages_missing"
    return None if 1 <= pages <= MOST_PAGES else "pages_range"


def _faults_of_pick_up(entered: date | None, item: Item, today: date, calendar: Calendar) -> Faults:
    if not asks_pick_up(item):
        return {}
    if entered is None:
        return {"pick_up": "missing"}
    if entered <= today:
        return {"pick_up": "past"}
    if entered - today > FARTHEST_PICK_UP:
        return {"pick_up": "too_far"}
    return {} if calendar.works(entered) else {"pick_up": "rest_day"}
