"""From a TOML file to a frozen Struct: each value is checked against the Struct's own annotations.

`msgspec.Meta` on a field says its bounds; the Meta's `extra` may say `allowed` (what is allowed, in words), `exists`
(the file must be there) and `private` (the value is never repeated in a sentence).
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from appliance.settings import phrases

S = TypeVar("S", bound=msgspec.Struct)


class SettingsWrong(Exception):
    """The settings cannot be used; `str()` is one Chinese sentence: file, key, what was found, what is allowed."""


class Spot(msgspec.Struct, frozen=True):
    """Where in the file a value stands, and what is said about its field beyond its type."""

    file: Path
    where: str = ""
    extra: Mapping[str, Any] = {}

    def wrong(self, found: object, allowed: str) -> SettingsWrong:
        shown = phrases.PRIVATE if self.extra.get("private") else phrases.found(found)
        return SettingsWrong(phrases.wrong(self.file, self.where, shown, self.extra.get("allowed", allowed)))

    def below(self, name: str) -> "Spot":
        return Spot(self.file, f"{self.where} {phrases.key(name)}" if self.where else f"[{phrases.key(name)}]")

    def item(self, number: int) -> "Spot":
        return Spot(self.file, phrases.item(self.where, number), self.extra)


def read(path: Path, shape: type[S], sample: str) -> S:
    """The file as a `shape`; raises SettingsWrong with the first thing wrong, in the order of the Struct's fields.

    `sample` is the file of ours that a technician is pointed to when there is none.
    """
    built: S = _table(inspect.type_info(shape), _toml(path, sample), Spot(path))
    return built


def _toml(path: Path, sample: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise SettingsWrong(phrases.no_file(path, sample)) from None
    except UnicodeDecodeError:
        raise SettingsWrong(phrases.not_utf8(path)) from None
    except OSError as error:
        raise SettingsWrong(phrases.unreadable(path, error)) from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        # Besides its own error tomllib lets Python's limits through: 4300 digits in a number, 1000 brackets in a row.
        line = re.search(r"at line (\d+)", str(error))
        raise SettingsWrong(phrases.not_toml(path, line and line.group(1))) from None


def _table(kind: inspect.Type, table: Any, spot: Spot) -> Any:
    assert isinstance(kind, inspect.StructType)
    fields = {field.encode_name: field for field in kind.fields}
    for name in table:
        if name not in fields:
            raise SettingsWrong(phrases.unknown(spot.file, spot.where, name, list(fields)))
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(field.type, table[name], spot.below(name))
        elif field.required:
            raise SettingsWrong(phrases.missing(spot.file, spot.below(name).where, _allowed(field.type)))
    return kind.cls(**values)


def _value(kind: inspect.Type, found: Any, spot: Spot) -> Any:
    match kind:
        case inspect.Metadata():
            return _value(kind.type, found, Spot(spot.file, spot.where, {**spot.extra, **(kind.extra or {})}))
        case inspect.UnionType():
            return _value(_present(kind), found, spot)
        case inspect.StructType() if isinstance(found, dict):
            return _table(kind, found, spot)
        case inspect.VarTupleType() if isinstance(found, list) and _counted(kind, len(found)):
            return tuple(_value(kind.item_type, one, spot.item(number)) for number, one in enumerate(found, 1))
        case inspect.DictType() if isinstance(found, dict):
            return {_name(kind, key, spot): _value(kind.value_type, one, spot.below(key)) for key, one in found.items()}
        case inspect.CustomType() if isinstance(found, str) and found.startswith("/") and "\0" not in found:
            return _file(Path(found), spot)
        case inspect.FloatType() if _number(found) and _within(kind, found):
            return float(found)
        case inspect.IntType() if isinstance(found, int) and _number(found) and _within(kind, found):
            return found
        case inspect.StrType() if isinstance(found, str) and re.fullmatch(kind.pattern or ".*", found):
            return found
        case inspect.BoolType() if isinstance(found, bool):
            return found
        case inspect.LiteralType() if any(found == one and type(found) is type(one) for one in kind.values):
            return found
        case _:
            raise spot.wrong(found, _allowed(kind))


def _name(kind: inspect.DictType, key: str, spot: Spot) -> str:
    name: str = _value(kind.key_type, key, Spot(spot.file, phrases.name_in(spot.where)))
    return name


def _number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _within(kind: inspect.IntType | inspect.FloatType, found: float) -> bool:
    low = kind.ge if kind.ge is not None else float("-inf")
    high = kind.le if kind.le is not None else float("inf")
    # Written this way round so that nan is outside.
    return low <= found <= high


def _counted(kind: inspect.VarTupleType, count: int) -> bool:
    return (kind.min_length or 0) <= count and (kind.max_length is None or count <= kind.max_length)


def _file(named: Path, spot: Spot) -> Path:
    if spot.extra.get("exists") and not (named.is_file() and os.access(named, os.R_OK)):
        raise SettingsWrong(phrases.no_such_file(spot.file, spot.where, named))
    return named


def _present(kind: inspect.UnionType) -> inspect.Type:
    return next(one for one in kind.types if not isinstance(one, inspect.NoneType))


def _allowed(kind: inspect.Type) -> str:
    """What a field may be, in words, when its `extra` does not say."""
    match kind:
        case inspect.Metadata():
            said: str | None = (kind.extra or {}).get("allowed")
            return said or _allowed(kind.type)
        case inspect.UnionType():
            return _allowed(_present(kind))
        case inspect.IntType():
            return phrases.span(kind.ge, kind.le, "整数")
        case inspect.FloatType():
            return phrases.span(kind.ge, kind.le, "数")
        case inspect.LiteralType():
            return phrases.one_of(kind.values)
        case inspect.VarTupleType() if isinstance(kind.item_type, inspect.StructType):
            return phrases.SECTIONS
        case inspect.VarTupleType():
            return phrases.count(kind.min_length or 0, kind.max_length)
        case inspect.StructType() | inspect.DictType():
            return phrases.SECTION
        case inspect.CustomType():
            return phrases.ABSOLUTE_PATH
        case inspect.BoolType():
            return phrases.YES_OR_NO
        case _:
            return phrases.TEXT
