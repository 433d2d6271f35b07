"""The county's catalogue: what may be handled at which level, with which materials, in how many working days.

Every item has the six unified fields (六统一): name, code, materials, promise, steps, service standard. A code not yet
given is 待定; a promise not yet given is unknown, and nothing is worked out from it.
"""

from typing import Annotated, Any, Literal

import msgspec

from appliance.window.workdays import LONGEST_PROMISE

Level = Literal["township", "village"]
Kind = Literal["即办件", "承诺件"]

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=_PRINTABLE)]
_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=12, pattern=_PRINTABLE)]
_Text = Annotated[str, msgspec.Meta(max_length=400, pattern=_PRINTABLE)]
_Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_Promise = Annotated[int, msgspec.Meta(ge=0, le=LONGEST_PROMISE)]

UNIFIED = ("name", "official_code", "materials", "promised_working_days", "scope", "service_standard")
"""六统一: every item has each of these, though the value of a draft may still be null."""


class CatalogueWrong(Exception):
    """A catalogue that cannot be used; the message names the item and the field."""


class Material(msgspec.Struct, frozen=True):
    """One paper to hand in; `condition` says when a material that is not always required is."""

    name: _Name
    required: bool
    copies: Annotated[int, msgspec.Meta(ge=0, le=99)] = 1
    condition: _Text | None = None
    note: _Text = ""


class Item(msgspec.Struct, frozen=True):
    """One matter (事项); `promised_working_days` 0 is 即办, None is not known."""

    key: _Key
    no: Annotated[int, msgspec.Meta(ge=1, le=999)]
    name: _Name
    short: _Short
    levels: tuple[Level, ...]
    scope: dict[Level, tuple[str, ...]]
    kind: Kind
    promised_working_days: _Promise | None
    official_code: _Name | None
    service_standard: _Text | None
    materials: tuple[Material, ...]

    @property
    def at_once(self) -> bool:
        """Handled while the resident waits, so nothing is to be picked up later."""
        return self.kind == "即办件"

    @property
    def code(self) -> str:
        """The official code, or 待定."""
        return self.official_code or "待定"

    def material(self, name: str) -> Material | None:
        """The material of that name."""
        return next((material for material in self.materials if material.name == name), None)


class Catalogue(msgspec.Struct, frozen=True):
    """A version of the catalogue; only a `confirmed` one may be shown to the public as the county's promise."""

    version: str
    confirmed: bool
    items: tuple[Item, ...]

    def for_level(self, level: Level) -> tuple[Item, ...]:
        """The items that a station of that level handles, in the county's order."""
        return tuple(sorted((item for item in self.items if level in item.levels), key=lambda item: item.no))

    def item(self, key: str) -> Item | None:
        """The item of that key."""
        return next((item for item in self.items if item.key == key), None)


class _Body(msgspec.Struct, frozen=True):
    confirmed: bool
    items: tuple[dict[str, Any], ...]


class _Document(msgspec.Struct, frozen=True):
    name: Literal["catalogue"]
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    body: _Body


def read_catalogue(document: bytes) -> Catalogue:
    """Read the county document `catalogue` (wire.md's shape; its signature is checked elsewhere).

    Raises CatalogueWrong with one sentence when it cannot be used.
    """
    try:
        read = msgspec.json.decode(document, type=_Document)
    except msgspec.DecodeError as error:
        raise CatalogueWrong(f"catalogue: {error}") from None
    items = tuple(_item(raw, place) for place, raw in enumerate(read.body.items, start=1))
    _check_together(items)
    if read.body.confirmed:
        for item in items:
            if not item.service_standard:
                raise _wrong(item.key, "service_standard is empty, and the catalogue is marked confirmed")
    return Catalogue(read.version, read.body.confirmed, items)


def _item(raw: dict[str, Any], place: int) -> Item:
    known = raw.get("key")
    label = known if isinstance(known, str) else f"number {place}"
    for field in UNIFIED:
        if field not in raw:
            raise _wrong(label, f"{field} is missing; every item has the six fields {', '.join(UNIFIED)}")
    try:
        item = msgspec.convert(raw, Item)
    except msgspec.ValidationError as error:
        raise _wrong(label, str(error)) from None
    _check_alone(item)
    return item


def _check_alone(item: Item) -> None:
    if not item.levels or set(item.levels) != set(item.scope) or not all(item.scope.values()):
        raise _wrong(item.key, "scope must give the steps for each of its levels, and for no other")
    if item.at_once != (item.promised_working_days == 0):
        raise _wrong(item.key, f"{item.kind} and a promise of {item.promised_working_days} days contradict each other")
    names = [material.name for material in item.materials]
    if not names:
        raise _wrong(item.key, "materials is empty")
    if len(set(names)) != len(names):
        raise _wrong(item.key, "materials names the same material twice")


def _check_together(items: tuple[Item, ...]) -> None:
    if not items:
        raise CatalogueWrong("catalogue: no item in it")
    keys: set[str] = set()
    for item in items:
        if item.key in keys:
            raise _wrong(item.key, "key stands twice")
        keys.add(item.key)


def _wrong(item: str, what: str) -> CatalogueWrong:
    return CatalogueWrong(f"catalogue: item {item}: {what}")
