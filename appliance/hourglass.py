"""The loop that lets time pass: it closes prompts that have run out, asks a full card again, writes what was held."""

from appliance.counter import Counter
from appliance.window.happenings import TimePasses

AT_MOST = 5.0
FULL_CARD = 2.0
GRACE = 0.25
"""A press of the last moment may still be on its way here."""


class Hourglass:
    """Waits until the window will look different by itself, or something has changed what it waits for."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._watch = counter.watch(lambda desk: desk.prompt)
        self._prompting = False

    def step(self) -> None:
        """One wait, and what is due after it."""
        due = self._counter.changes_in()
        self._prompting |= due is not None
        longest = AT_MOST if self._counter.kept else FULL_CARD
        self._watch.wait(longest if due is None else min(due + GRACE, longest))
        self._counter.try_again()
        self._counter.calm()
        prompting = self._counter.changes_in() is not None
        if self._prompting and not prompting:
            self._counter.tell(TimePasses(at=self._counter.moment()))
        self._prompting = prompting
