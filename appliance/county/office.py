"""The county's pages: the wall, live, and the same as JSON for machines."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

import msgspec
from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from appliance.county import phrases
from appliance.county.monitor import CALM, Row, moment, undrawable
from appliance.county.pulse import LATE_S
from appliance.county.wall import Wall
from appliance.pages import Stream, draw, site

log = logging.getLogger("appliance.county")

HEAD: Final = {
    "clock": "county/clock.html",
    "head": "county/head.html",
    "alarm": "county/alarm.html",
    "room": "county/room.html",
}
SPARE: Final = 40
"""Places kept free on an open page for windows that come while it is open."""
REST_S: Final = 0.1
"""The least time between two drawings, so that a flood of facts is drawn ten times a second and not at each."""


class Office:
    """The county's site; `step` keeps its open pages as the wall is."""

    def __init__(
        self,
        county: str,
        name: str,
        wall: Wall,
        stations: Mapping[str, str],
        viewers: int = 32,
        lateness: Callable[[], Mapping[str, Any]] = lambda: {"ok": True},
    ) -> None:
        self._lateness = lateness
        self._county, self._name, self._wall, self._stations = county, name, wall, dict(stations)
        self._drawn: dict[str, tuple[Row, date, str]] = {}
        self._version = -1
        self.stream = Stream(viewers=viewers)
        self.app = site("county", phrases=phrases, health=self.health)
        self.app.add_url_rule("/", view_func=self._page)
        self.app.add_url_rule("/events", view_func=self._events)
        self.app.add_url_rule("/wall.json", view_func=self._json)

    def step(self) -> None:
        """Wait a second at most for something new and show it to everybody who looks."""
        self._version = self._wall.wait(self._version, 1.0)
        for station in ("", *self._sites()):
            if self.stream.watched(_page_of(station)):
                self.stream.publish(_page_of(station), self._regions(station))
        time.sleep(REST_S)

    def health(self) -> Mapping[str, Any]:
        """The county's own end in numbers; not `ok` when the book takes nothing, or when we are behind."""
        standing, rows, lateness = self._wall.standing(), self._wall.rows(_now()), self._lateness()
        return {
            **lateness,
            "ok": standing.trouble is None and lateness["ok"],
            "county": self._county,
            "connected": standing.connected,
            "trouble": standing.trouble,
            "windows": len(rows),
            "facts": standing.facts,
            "again": standing.again,
            "quarantined": standing.quarantined,
            "breaks": sum(row.seen.breaks for row in rows),
            "missing": standing.missing.asked + standing.missing.replaced,
            "lost": standing.missing.lost,
            "unreadable": standing.unreadable,
            "last_commit": _iso(standing.last_commit_us),
            "viewers": len(self.stream),
        }

    # ---- what is asked for

    def _page(self) -> ResponseReturnValue:
        station = self._asked()
        return render_template(
            "county/wall.html",
            county=self._name,
            regions=self._regions(station),
            places=self._places(station),
            station=station,
            stations={site: phrases.station(site, self._stations) for site in self._sites()},
        )

    def _events(self) -> Response:
        station = self._asked()
        return self.stream.reply(_page_of(station), lambda: self._regions(station))

    def _json(self) -> Response:
        said = {**self.health(), "rows": [_plain(row) for row in self._rows(self._asked())]}
        return Response(msgspec.json.encode(said), mimetype="application/json")

    def _asked(self) -> str:
        """The station asked for, "" for all; one that nobody knows is none."""
        station = request.args.get("station", "")
        return station if station in self._sites() else ""

    # ---- what is shown

    def _sites(self) -> list[str]:
        return sorted({*self._stations, *(row.site for row in self._wall.rows(_now()))})

    def _rows(self, station: str) -> list[Row]:
        return [row for row in self._wall.rows(_now()) if station in ("", row.site)]

    def _places(self, station: str) -> int:
        return len(self._rows(station)) + SPARE

    def _regions(self, station: str) -> dict[str, str]:
        """Everything that moves on the wall of a station: its head, and each place with the window that has it now."""
        rows, standing, now = self._rows(station), self._wall.standing(), _now()
        head = {
            "rows": rows,
            "care": sum(row.level not in CALM for row in rows),
            "visits": sum(row.seen.visits for row in rows),
            "rated": sum(row.seen.rated for row in rows),
            "unrated": sum(row.seen.unrated for row in rows),
            "now": phrases.now(now),
            "standing": standing,
            "strangers": self._wall.nobody(),
            "behind": self._lateness().get("behind_s", 0.0) >= LATE_S,
        }
        regions = draw(self.app, HEAD, **head)
        today = moment(now).date()
        for place, row in enumerate(rows):
            regions[f"place-{place}"] = self._draw(row, today)
        # Places that are free now may have been taken before, on a page that is still open.
        regions.update({f"place-{place}": "" for place in range(len(rows), len(rows) + SPARE)})
        return regions

    def _draw(self, row: Row, today: date) -> str:
        """A window's row; drawn anew only when it differs."""
        known = self._drawn.get(row.window)
        if known and known[:2] == (row, today):
            return known[2]
        try:
            html = self._render(row, today)
        except Exception:
            log.exception("the row of %s cannot be drawn", row.window)
            html = self._render(undrawable(row.window), today)
        self._drawn[row.window] = (row, today, html)
        return html

    def _render(self, row: Row, today: date) -> str:
        shown = {
            "row": row,
            "seen": row.seen,
            "station": phrases.station(row.site, self._stations),
            "since": phrases.since(row.since_us if row.level in row.wrong else row.doing_us or row.since_us, today),
            "clerk": row.status.clerk if row.status else None,
        }
        return self.app.jinja_env.get_template("county/row.html").render(shown).strip()


def _plain(row: Row) -> dict[str, Any]:
    """A row for machines; the words are those of the wire."""
    seen, status = row.seen, row.status
    return {
        "window": row.window,
        "site": row.site,
        "name": row.name,
        "level": row.level,
        "doing": row.doing,
        "wrong": row.wrong,
        "reach": row.reach,
        "since": _iso(row.since_us),
        "state": status.state if status else None,
        "clerk": msgspec.structs.asdict(status.clerk) if status and status.clerk else None,
        "visits": seen.visits,
        "grades": dict(zip(("5", "4", "3", "2", "1"), seen.grades, strict=True)),
        "unrated": seen.unrated,
        "cut": seen.cut,
        "faults": [{"device": it.device, "reason": it.reason, "since": _iso(it.since_us)} for it in row.faults],
        "unsent": row.unsent,
        "misfits": seen.misfits,
        "unknown": seen.unknown,
        "foreign": seen.foreign,
        "breaks": seen.breaks,
        "missing": msgspec.structs.asdict(seen.missing),
    }


def _page_of(station: str) -> str:
    return f"wall/{station}"


def _now() -> int:
    return time.time_ns() // 1000


def _iso(at_us: int | None) -> str | None:
    return None if at_us is None else moment(at_us).isoformat()
