"""The settings of a window and of a county: a TOML file read once at the start, or one sentence on what is wrong.

A technician meets these sentences before any page, so they are Chinese and name file, key, what was found and what is
allowed. Nothing here knows anything else of ours.
"""

from appliance.settings.county import BookPlace, CountyName, CountySettings, Office, load_county
from appliance.settings.reading import SettingsWrong
from appliance.settings.shared import Broker, password
from appliance.settings.window import (
    AwaySwitch,
    Bench,
    CameraPlace,
    ClerkEntry,
    LedgerPlace,
    Pad,
    Panel,
    PrinterPlace,
    Station,
    WindowName,
    WindowSettings,
    load_window,
)

__all__ = [
    "AwaySwitch",
    "Bench",
    "BookPlace",
    "Broker",
    "CameraPlace",
    "ClerkEntry",
    "CountyName",
    "CountySettings",
    "LedgerPlace",
    "Office",
    "Pad",
    "Panel",
    "PrinterPlace",
    "SettingsWrong",
    "Station",
    "WindowName",
    "WindowSettings",
    "load_county",
    "load_window",
    "password",
]
