"""Contacts that bounce: what a key or a switch really did, from edges and re-read levels.

The rules:
- the first edge counts at once; then the contact is not listened to for `bounce_s`, and its level is read again, which
  for a change that a reading found is needed only if edges came meanwhile;
- a level that no edge announced counts all the same;
- a key down for `stuck_s` is stuck, and silent until it is up again;
- a key already down at the start is no press.
"""

from collections.abc import Iterable, Mapping
from typing import get_args

from appliance.window.facts import Grade
from appliance.window.happenings import Happening, KeyFrees, KeyPresses, KeySticks
from appliance.window.moment import Moment

GRADES: tuple[Grade, ...] = get_args(Grade)


class Contact:
    """One debounced contact; times are seconds of `Moment.up`."""

    def __init__(self, bounce_s: float) -> None:
        self.closed = False
        self.since = 0.0
        self._bounce_s = bounce_s
        self._quiet_until = float("-inf")
        self._level = False
        self._owed = False

    def begin(self, closed: bool, at: Moment) -> None:
        """Take the level as it is found, without calling it a change."""
        self.closed = self._level = closed
        self.since = at.up
        self._quiet_until, self._owed = float("-inf"), False

    def meets(self, closed: bool, at: Moment) -> bool:
        """An edge; True when the contact changed."""
        before, self._level = self._level, closed
        if at.up < self._quiet_until:
            self._owed = True
            return False
        if self._owed:
            # The card kept us longer than the bounce: what the contact had settled to was never read. A release in
            # that time must not swallow the press that comes now.
            self.closed = before
        return self._becomes(closed, at)

    def reads(self, closed: bool, at: Moment) -> bool:
        """A level read; True when the contact changed without an edge that counted."""
        self._level = closed
        if at.up < self._quiet_until:
            return False
        changed = self._becomes(closed, at)
        self._owed = False
        return changed

    def quiet_for(self, at: Moment) -> float | None:
        """Seconds until the level must be read after a bounce, None when it was."""
        return max(0.0, self._quiet_until - at.up) if self._owed else None

    def _becomes(self, closed: bool, at: Moment) -> bool:
        self._owed = False
        if closed == self.closed:
            return False
        self.closed, self.since = closed, at.up
        self._quiet_until, self._owed = at.up + self._bounce_s, True
        return True


class Keys:
    """The five rating keys together."""

    def __init__(self, bounce_s: float, together_s: float, stuck_s: float) -> None:
        self._contacts = {grade: Contact(bounce_s) for grade in GRADES}
        self._together_s = together_s
        self._stuck_s = stuck_s
        self._stuck: set[Grade] = set()
        self._found_down: set[Grade] = set()
        self._pressed: dict[Grade, float] = {}

    def begin(self, levels: Mapping[Grade, bool], at: Moment) -> list[Happening]:
        """The levels of keys that were just opened; those that are up are free, whatever was thought of them before."""
        up = {grade for grade, down in levels.items() if not down}
        for grade, down in levels.items():
            self._contacts[grade].begin(down, at)
        self._found_down = (self._found_down | levels.keys()) - up
        self._stuck -= up
        return [KeyFrees(at=at, grade=grade) for grade in levels if grade in up]

    def lose(self, grade: Grade, at: Moment) -> None:
        """A key that cannot be read any more: nobody holds it, and nobody lets it go."""
        self._contacts[grade].begin(False, at)
        self._found_down.discard(grade)

    def meets(self, grade: Grade, down: bool, at: Moment) -> list[Happening]:
        """One edge of one key."""
        return self._changed(grade, down, at) if self._contacts[grade].meets(down, at) else []

    def _changed(self, grade: Grade, down: bool, at: Moment) -> list[Happening]:
        if down:
            return [self._press(grade, at)]
        if grade in self._stuck | self._found_down:
            self._stuck.discard(grade)
            self._found_down.discard(grade)
            return [KeyFrees(at=at, grade=grade)]
        return []

    def read(self, levels: Mapping[Grade, bool], at: Moment) -> list[Happening]:
        """All levels as read: what edges have missed, and keys that are down too long."""
        happenings: list[Happening] = []
        for grade, down in levels.items():
            if self._contacts[grade].reads(down, at):
                happenings += self._changed(grade, down, at)
        return happenings + [KeySticks(at=at, grade=grade) for grade in self._newly_stuck(at)]

    def unsettled(self, at: Moment) -> set[Grade]:
        """The keys whose level must be read now, after a bounce or because they are held too long."""
        return {grade for grade, contact in self._contacts.items() if contact.quiet_for(at) == 0.0} | {
            grade for grade in self._held() if at.up - self._contacts[grade].since >= self._stuck_s
        }

    def look_in(self, at: Moment) -> float:
        """Seconds until the levels must be read again because of what the keys did; infinite when they did nothing."""
        waits = [wait for contact in self._contacts.values() if (wait := contact.quiet_for(at)) is not None]
        waits += [self._contacts[grade].since + self._stuck_s - at.up for grade in self._held()]
        return max(0.0, min(waits, default=float("inf")))

    def _press(self, grade: Grade, at: Moment) -> KeyPresses:
        beside = tuple(other for other, up in self._pressed.items() if other != grade and at.up - up < self._together_s)
        self._pressed[grade] = at.up
        return KeyPresses(at=at, grade=grade, beside=beside)

    def _held(self) -> Iterable[Grade]:
        return [g for g, contact in self._contacts.items() if contact.closed and g not in self._stuck]

    def _newly_stuck(self, at: Moment) -> list[Grade]:
        stuck = [grade for grade in self._held() if at.up - self._contacts[grade].since >= self._stuck_s]
        self._stuck.update(stuck)
        return stuck
