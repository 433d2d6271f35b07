"""The sample files hold every setting, with its default and a comment: program and samples cannot drift apart."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from appliance.settings import CountySettings, WindowSettings, load_county, load_window

SAMPLES = Path(__file__).parent.parent / "firmware_config"
SHAPES: list[tuple[str, type[msgspec.Struct]]] = [("window.toml", WindowSettings), ("county.toml", CountySettings)]
# What stands in no table of fixed keys: the county's own list.
FREE = {("county.toml", "stations")}


def text_of(sample: str) -> str:
    return (SAMPLES / sample).read_text(encoding="utf-8")


def switched_on(text: str) -> str:
    """The sample with every `#key = value` line taken for what it is: a setting that is absent by default."""
    return re.sub(r"^#(?=[a-z0-9_]+ = )", "", text, flags=re.MULTILINE)


def keys_of(section: inspect.Type) -> dict[str, inspect.Field]:
    while not isinstance(section, inspect.StructType):
        assert isinstance(section, inspect.Metadata | inspect.VarTupleType)
        section = section.type if isinstance(section, inspect.Metadata) else section.item_type
    return {field.encode_name: field for field in section.fields}


def sections_of(sample: str, shape: type[msgspec.Struct]) -> dict[str, dict[str, inspect.Field]]:
    kind = inspect.type_info(shape)
    assert isinstance(kind, inspect.StructType)
    return {field.encode_name: keys_of(field.type) for field in kind.fields if (sample, field.encode_name) not in FREE}


def sections_in(text: str) -> list[str]:
    return re.findall(r"^\[+(\w+)\]+$", text, flags=re.MULTILINE)


def tables_of(text: str) -> dict[str, dict[str, Any]]:
    return {name: body[0] if isinstance(body, list) else body for name, body in tomllib.loads(text).items()}


def plain(value: Any) -> Any:
    """As TOML would give it."""
    return msgspec.to_builtins(value, enc_hook=str) if not isinstance(value, tuple) else list(value)


def test_the_samples_load_as_they_are() -> None:
    assert load_window(SAMPLES / "window.toml").window.id == "430602-0107-1"
    assert load_county(SAMPLES / "county.toml").county.code == "430602"


@pytest.mark.parametrize(("sample", "shape"), SHAPES)
def test_a_sample_holds_every_setting_and_no_other(sample: str, shape: type[msgspec.Struct]) -> None:
    written = tables_of(switched_on(text_of(sample)))
    known = sections_of(sample, shape)
    assert set(written) == set(known) | {section for file, section in FREE if file == sample}
    for section, fields in known.items():
        assert set(written[section]) == set(fields), section


@pytest.mark.parametrize(("sample", "shape"), SHAPES)
def test_a_setting_that_is_written_has_its_default_and_one_that_is_not_has_none(
    sample: str, shape: type[msgspec.Struct]
) -> None:
    written = tables_of(text_of(sample))
    for section, fields in sections_of(sample, shape).items():
        for key, field in fields.items():
            if field.required:
                assert key in written[section], f"[{section}] {key}"
            elif field.default is None:
                assert key not in written[section], f"[{section}] {key}"
            else:
                assert written[section][key] == plain(field.default), f"[{section}] {key}"


@pytest.mark.parametrize(("sample", "shape"), SHAPES)
def test_what_is_required_is_marked_so_and_nothing_else(sample: str, shape: type[msgspec.Struct]) -> None:
    text = switched_on(text_of(sample))
    for section, fields in sections_of(sample, shape).items():
        body = re.split(r"^\[+(?:\w+)\]+$", text, flags=re.MULTILINE)[sections_in(text).index(section) + 1]
        for key, field in fields.items():
            before = re.search(rf"((?:^# .*\n)*)^{key} = ", body, flags=re.MULTILINE)
            assert before, f"[{section}] {key}"
            marked = "必填" in before.group(1)
            if section != "clerks":
                assert marked == field.required, f"[{section}] {key}"
    assert "# 必填，一人一节" in text_of("window.toml")


@pytest.mark.parametrize("sample", ["window.toml", "county.toml"])
def test_a_setting_has_a_comment_above_it(sample: str) -> None:
    """Or shares the one above its neighbour, without a blank line between."""
    lines = text_of(sample).splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[a-z0-9_]+ = ", line):
            above = number
            while lines[above] and not lines[above].startswith(("# ", "[")):
                above -= 1
            assert lines[above].startswith("# ") or lines[above - 1].startswith("# ") or above == number - 1, line
            assert lines[above], line


@pytest.mark.parametrize("sample", ["window.toml", "county.toml"])
def test_the_sample_loads_with_all_that_is_optional_switched_on(sample: str, tmp_path: Path) -> None:
    present = tmp_path / "present"
    present.write_text("secret\n")
    text = re.sub(r'(_file = )"[^"]+"', rf'\1"{present}"', switched_on(text_of(sample)))
    file = tmp_path / sample
    file.write_text(text, encoding="utf-8")
    if sample == "window.toml":
        window = load_window(file)
        assert window.away.lamp == 12
        assert window.broker.cert_file == present
    else:
        assert load_county(file).stations == {"0107": "梅溪乡医疗保障服务站"}
