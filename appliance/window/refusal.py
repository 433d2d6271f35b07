"""Why the window does not do what was asked: a code and its fields; the pages turn them into sentences."""

from typing import Any, Literal

Code = Literal[
    "no_clerk",
    "clerk_unknown",
    "already_on_duty",
    "already_serving",
    "not_serving",
    "visit_open",
    "away_now",
    "switch_closed",
    "not_away",
    "form_incomplete",
    "day_unknown",
    "day_wrong",
    "expected_back_past",
]


class Refused(Exception):
    """Raised by `decide`; nothing was changed. `fields` maps a form field to a code of what is wrong with it."""

    def __init__(self, code: Code, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields
