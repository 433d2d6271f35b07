"""What a window is told once, at its start: times, names, items; `decide` gets it with every happening."""

from typing import Literal

import msgspec

from appliance.window.catalogue import Catalogue
from appliance.window.view import Clerk
from appliance.window.workdays import Calendar


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings and county documents that decisions depend on; times in seconds."""

    window: str
    level: Literal["township", "village"]
    clerks: tuple[Clerk, ...]
    catalogue: Catalogue
    calendar: Calendar
    prompt_s: float = 60.0
    change_s: float = 5.0
    together_s: float = 0.150
    away_kind: Literal["switch", "button", "none"] = "switch"

    def clerk(self, number: str) -> Clerk | None:
        """The clerk of that number, None when the window knows no such clerk."""
        return next((clerk for clerk in self.clerks if clerk.number == number), None)
