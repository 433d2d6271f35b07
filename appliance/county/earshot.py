"""Which windows the collector listens to: all of them, but for one that floods while others have something to say.

Rules, for facts and for what windows say of themselves each by itself:

- normally one filter brings everybody;
- a window that floods is left out for a while: everybody else whom we know is then heard by a filter of its own, and
  the broker throws away what the flooding one says. So nothing of it stands before the others in the broker's only
  queue for us. It is not acknowledged either, so its facts come again;
- a window is left out twice as long each time, up to a minute, until it has not flooded for two;
- a window that we do not know is heard when everybody is heard again, a minute later at most.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from appliance import wire

FIRST_S: Final = 5.0
LAST_S: Final = 60.0
FORGIVEN_S: Final = 120.0
KNOWN: Final = 5000
"""Windows that are heard by filters of their own; more than any county has."""
PARTS: Final = {"fact": ("fact/#",), "sight": ("presence", "status", "health")}
"""What is left out together, as the last levels of topics."""


class Change(NamedTuple):
    """Filters to subscribe, and then those to unsubscribe."""

    hear: list[str]
    leave: list[str]


class _Strikes(NamedTuple):
    """How often a window was left out, and until when the last time, in monotonic seconds."""

    times: int
    until: float


class _Part:
    """One part of what windows say, and who is left out of it until when."""

    def __init__(self, county: str, kinds: tuple[str, ...]) -> None:
        self._county, self._kinds = county, kinds
        self._single: set[str] = set()
        self.strikes: dict[str, _Strikes] = {}
        self._narrow_since = 0.0
        self.left_out: dict[str, float] = {}

    def filters(self, window: str) -> list[str]:
        """Those of one window, or of all."""
        return [f"{wire.county_topic(self._county, window)}/{kind}" for kind in self._kinds]

    def leave_out(self, window: str, known: Iterable[str], now: float) -> Change:
        if window in self.left_out:
            return Change([], [])
        before = self.strikes.get(window)
        times = before.times + 1 if before is not None and now - before.until < FORGIVEN_S else 0
        until = now + min(LAST_S, FIRST_S * 2 ** min(times, 10))
        self.strikes[window] = _Strikes(times, until)
        wide = not self.left_out
        self.left_out[window] = until
        if not wide:
            self._single.discard(window)
            return Change([], self.filters(window))
        self._narrow_since = now
        self._single = set(known) - {window}
        return Change(self._all(self._single), self.filters("+"))

    def let_in(self, now: float) -> Change:
        """Whoever's time is over."""
        over = [window for window, until in self.left_out.items() if now >= until]
        if not over:
            return Change([], [])
        if len(over) == len(self.left_out) or now - self._narrow_since > LAST_S:
            return Change(self.filters("+"), self.reset())
        for window in over:
            del self.left_out[window]
        self._single.update(over)
        return Change(self._all(over), [])

    def reset(self) -> list[str]:
        """Everybody is to be heard by one filter; returns those that are not wanted then."""
        single, self._single = self._single, set()
        self.left_out.clear()
        if len(self.strikes) > KNOWN:
            self.strikes.clear()
        return self._all(single)

    def _all(self, windows: Iterable[str]) -> list[str]:
        return [one for window in sorted(windows) for one in self.filters(window)]


class Earshot:
    """Decides whom to listen to; what it says of filters is to be done, in order."""

    def __init__(self, county: str, known: Iterable[str]) -> None:
        self._known = set(known)
        self._first = True
        self._parts = {name: _Part(county, kinds) for name, kinds in PARTS.items()}

    def know(self, windows: Iterable[str]) -> None:
        """These say something that could be read."""
        if len(self._known) < KNOWN:
            self._known.update(windows)

    @property
    def left_out(self) -> set[str]:
        """Windows that are not listened to now, in part or at all."""
        return {window for part in self._parts.values() for window in part.left_out}

    def suspects(self, now: float) -> set[str]:
        """Windows that were left out not long ago."""
        strikes = [it for part in self._parts.values() for it in part.strikes.items()]
        return {window for window, it in strikes if now - it.until < FORGIVEN_S}

    @property
    def whole(self) -> bool:
        """Facts of everybody are heard."""
        return not self._parts["fact"].left_out

    def turn(self, floods: Iterable[tuple[str, str]], now: float) -> list[Change]:
        """What is to change: `floods` are windows and the part that they flood, `now` is in monotonic seconds."""
        changes = [self._parts[part].leave_out(window, self._known, now) for window, part in floods]
        changes += [part.let_in(now) for part in self._parts.values()]
        return [it for it in changes if it.hear or it.leave]

    def forget(self) -> list[str]:
        """A new connection, which hears everybody: the filters that the broker may have kept from one before.

        Those of this program's last connection, or, before its first, of whatever ran here and was killed.
        """
        parts, first, self._first = self._parts.values(), self._first, False
        if first:
            return [one for part in parts for window in sorted(self._known) for one in part.filters(window)]
        return [one for part in parts for one in part.reset()]
