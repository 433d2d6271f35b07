"""Puts the county's end together: book, collector, wall and pages, each loop on a thread with a name."""

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from appliance import notify
from appliance.county import phrases
from appliance.county.book import Book
from appliance.county.collector import Collector
from appliance.county.engine import Unusable
from appliance.county.line import Broker
from appliance.county.office import Office
from appliance.county.pulse import told
from appliance.county.tables import SCHEMA
from appliance.county.takeover import TooNew
from appliance.county.wall import Wall
from appliance.loops import Loops
from appliance.server import serve
from appliance.settings import CountySettings, password

log = logging.getLogger("appliance.county")

COLLECTING_S = 120.0
"""A round may wait for a broker's name and its TLS, for a database that recovers, for a large day to be counted."""


def run_county(settings: CountySettings) -> bool:
    """Run until SIGTERM or SIGINT; True when no loop failed and the book could be opened, else it said why.

    Raises CannotListen when the port is taken, SettingsWrong when the password cannot be read.
    """
    broker = broker_of(settings)
    try:
        book = Book(settings.book.url)
    except TooNew as problem:
        return _refuse(phrases.book_too_new(problem.found, SCHEMA))
    except Unusable as problem:
        return _refuse(phrases.book_unusable(problem.code, problem.detail))
    with ExitStack() as closing:
        closing.callback(book.close)
        return _run(settings, broker, book, closing)


def broker_of(settings: CountySettings) -> Broker:
    """The broker as the collector wants it; reads the password."""
    said = settings.broker
    return Broker(
        host=said.host,
        port=said.port,
        username=said.username,
        password=password(said),
        ca_file=said.ca_file,
        cert_file=said.cert_file,
        key_file=said.key_file,
        keepalive=said.keepalive_s,
    )


def _run(settings: CountySettings, broker: Broker, book: Book, closing: ExitStack) -> bool:
    county, pages = settings.county, settings.office
    wall = Wall(book, time.time_ns() // 1000, county.stale_s)
    collector, loops = Collector(county.code, broker, book, wall, name=county.collector), Loops()

    def lateness() -> Mapping[str, Any]:
        return told(collector.pulse, loops.late())

    office = Office(county.code, county.name, wall, settings.stations, pages.viewers, lateness)
    server = serve(office.app, pages.listen, pages.port, stream=office.stream)
    closing.callback(server.close)
    closing.callback(collector.close)
    closing.callback(loops.join)
    loops.add("collector", collector.step, allowance=COLLECTING_S)
    loops.add("wall", office.step)
    loops.add("counts", wall.step, allowance=COLLECTING_S)
    loops.add("gaps", book.gaps.step)
    loops.add("web", server.step)
    loops.stop_on_signals()
    loops.start()
    log.info("the wall of county %s is at %s", county.code, server.url)
    notify.tell("READY=1")
    watchdog = notify.watchdog_s()
    loops.wait(lambda: notify.tell("WATCHDOG=1"), every=watchdog / 3 if watchdog else 5.0)
    notify.tell("STOPPING=1")
    return loops.sound


def _refuse(sentence: str) -> bool:
    sys.stderr.write(sentence + "\n")
    return False
