"""Whatever stands in a settings file, reading it gives settings or one sentence, never another error."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.settings import CountySettings, SettingsWrong, WindowSettings, load_county, load_window
from tests.test_settings import COUNTY, WINDOW

SAMPLES = Path(__file__).parent.parent / "firmware_config"
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

simple = (
    st.integers()
    | st.booleans().map(lambda yes: str(yes).lower())
    | st.floats().map(repr)
    | st.text(st.characters(codec="utf-8")).map(lambda text: "'" + text + "'")
    | st.sampled_from(["'/'", "'/etc/passwd'", "'lgpio'", "'mock'", "'none'", "''", "1979-05-27T07:32:00Z", "{}", "[]"])
)
values = simple.map(str) | st.lists(simple.map(str), max_size=6).map(lambda items: "[" + ", ".join(items) + "]")
SECTIONS = "window station ledger broker panel pad away printer camera clock bench book office"
sections = st.sampled_from(SECTIONS.split())
KEYS = """
    id label level place telephone path host port username ca_file listen viewers factory keys lamps pull_up bounce_ms
    prompt_s kind pin lamp baud columns fonts enabled url code name '长名' x.y
"""
keys = st.sampled_from(KEYS.split())
tables = st.dictionaries(sections, st.dictionaries(keys, values, max_size=4), max_size=5)


def outcome(text: bytes) -> None:
    """Load it both ways; anything but settings or a sentence fails the test by itself."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.toml")
        file.write_bytes(text)
        for load, kind in ((load_window, WindowSettings), (load_county, CountySettings)):
            try:
                assert isinstance(load(file), kind)
            except SettingsWrong as wrong:
                sentence = str(wrong)
                assert str(file) in sentence
                assert sentence.endswith("。")
                assert sentence.isprintable()


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes(text: bytes) -> None:
    outcome(text)


@QUICK
@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_any_text(text: str) -> None:
    outcome(text.encode())


@QUICK
@given(tables)
def test_any_value_in_any_section(tree: dict[str, dict[str, str]]) -> None:
    lines = [
        f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in body.items())
        for section, body in tree.items()
    ]
    outcome("".join(lines).encode())


@QUICK
@given(st.data())
def test_any_value_in_place_of_one_that_is_right(data: st.DataObject) -> None:
    """A sample with one line's value replaced: gets past everything before it."""
    sample = data.draw(st.sampled_from(["window.toml", "county.toml"]))
    lines = (SAMPLES / sample).read_text(encoding="utf-8").splitlines()
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if " = " in line and line[0] != "#"]))
    lines[number] = lines[number].split(" = ")[0] + " = " + data.draw(values)
    outcome("\n".join(lines).encode())


@pytest.mark.parametrize("base", [WINDOW, COUNTY])
@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_file_that_was_cut_off(base: str, cut: int) -> None:
    outcome(base.encode()[:cut])
