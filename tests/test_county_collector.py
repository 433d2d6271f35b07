"""The collector keeps what windows say once, tells them only after the commit, and goes on whatever arrives."""

import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from appliance import wire
from appliance.county.book import BATCH, Book
from appliance.county.collector import Pace, backoff
from appliance.county.inlet import CHUNK, MOST
from appliance.county.intake import FACT, ROOM
from appliance.county.line import Broker as Terms
from appliance.county.tables import facts, quarantine
from appliance.courier import Address
from appliance.window.facts import RatingGiven
from tests.ground_county import COUNTY, WINDOW, Pen, Postgresql, Running, Talker
from tests.ground_courier.brokers import Broker, Iotcore, Mosquitto
from tests.ground_courier.county import County
from tests.ground_courier.waiting import stays, until
from tests.ground_courier.window import Window

FIRMWARE = Path(__file__).parents[1] / "firmware_config/county"
Collect = Callable[..., Running]


@pytest.fixture(params=[Mosquitto, Iotcore])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    running: Broker = request.param(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    running = Mosquitto(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def collect(tmp_path: Path) -> Iterator[Collect]:
    """Starts a collector on a broker, on the test's own book unless another is named."""
    started: list[Running] = []

    def start(broker: Broker, *, url: str = "", name: str = "") -> Running:
        started.append(Running(Book(url or f"sqlite:///{tmp_path}/book.db"), broker.port, name=name).connected())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def talkers() -> Iterator[Callable[..., Talker]]:
    made: list[Talker] = []

    def talk(broker: Broker, window: str = WINDOW) -> Talker:
        made.append(Talker(broker.port, window))
        return made[-1]

    yield talk
    for one in made:
        one.leave()


def ratings(count: int, pen: Pen | None = None) -> Pen:
    pen = pen or Pen()
    for n in range(count):
        pen.write(RatingGiven(visit=f"20261122-{n:04d}", grade=4))
    return pen


def kept(book: Book) -> list[bytes]:
    with book.engine.connect() as tx:
        return list(tx.execute(select(facts.c.payload).order_by(facts.c.ledger, facts.c.seq)).scalars())


def shut_in(book: Book) -> dict[tuple[str, str], int]:
    with book.engine.connect() as tx:
        found = Counter[tuple[str, str]]()
        for window, reason, n in tx.execute(select(quarantine.c.window, quarantine.c.reason, quarantine.c["count"])):
            found[window, reason] += n
        return dict(found)


def written(window: Window) -> list[bytes]:
    """Every payload that stands in a real window's ledger."""
    with closing(sqlite3.connect(window.ledger.path)) as base:
        return [payload for (payload,) in base.execute("SELECT payload FROM facts ORDER BY seq")]


# ---- the plain way ----------------------------------------------------------------------


def test_facts_are_kept_once_and_acknowledged(broker: Broker, collect: Collect, talkers: Callable[..., Talker]) -> None:
    collector, pen, window = collect(broker), ratings(700), talkers(broker)
    window.send(pen)
    window.until_acked(*range(1, 701))
    assert kept(collector.book) == [payload for _, payload in pen.written]


def test_a_sequence_from_the_past_is_ignored_counted_and_acknowledged_again(
    broker: Broker, collect: Collect, talkers: Callable[..., Talker]
) -> None:
    collector, pen, window = collect(broker), ratings(9), talkers(broker)
    window.send(pen)
    window.until_acked(*range(1, 10))
    window.send(pen, 3)
    until(lambda: window.acked().count(3) == 2, "3 is acknowledged again")
    assert collector.wall.standing().again == 1
    assert len(kept(collector.book)) == 9


def test_a_window_hears_only_of_its_own_ledger(
    broker: Broker, collect: Collect, talkers: Callable[..., Talker]
) -> None:
    collect(broker)
    other = "430602-0108-2"
    one, two = talkers(broker), talkers(broker, other)
    one.send(ratings(3))
    two.send(ratings(5, Pen(other, ledger="0000000a")))
    one.until_acked(1, 2, 3)
    two.until_acked(*range(1, 6), ledger="0000000a")
    assert {ack.ledger for ack in one.acks} == {"3f9c1a7e"}
    assert {ack.ledger for ack in two.acks} == {"0000000a"}


def test_what_was_said_while_the_collector_was_away_is_there_when_it_comes_back(
    broker: Broker, collect: Collect, tmp_path: Path, talkers: Callable[..., Talker]
) -> None:
    away = Running(Book(f"sqlite:///{tmp_path}/book.db"), broker.port).connected()
    away.stop()
    window, pen = talkers(broker), ratings(300)
    window.send(pen)
    collector = collect(broker)
    window.until_acked(*range(1, 301))
    assert len(kept(collector.book)) == 300


def test_the_county_says_that_it_is_there_and_that_it_goes_in_a_session_that_goes_up(
    mosquitto: Broker, tmp_path: Path
) -> None:
    ear, topic = County(mosquitto.port), wire.county_topic(COUNTY, "county", "presence")

    def says(online: bool, session: int) -> bool:
        found = msgspec.json.decode(ear.retained.get(topic, b'{"online":false,"session":0}'), type=wire.Presence)
        return (found.online, found.session) == (online, session)

    for session in (1, 2):
        collector = Running(Book(f"sqlite:///{tmp_path}/book.db"), mosquitto.port).connected()
        until(lambda: says(True, session), "the county is there")  # noqa: B023
        collector.stop()
        until(lambda: says(False, session), "the county goes")  # noqa: B023


def test_two_collectors_are_a_live_spare_of_each_other(mosquitto: Broker, collect: Collect) -> None:
    one, other = collect(mosquitto), collect(mosquitto, name="spare")
    window, pen = Talker(mosquitto.port), ratings(200)
    window.send(pen)
    until(
        lambda: max(it.wall.standing().facts for it in (one, other)) == 200,
        "the book counts each once",
    )
    window.until_acked(*range(1, 201))
    assert len(kept(one.book)) == 200
    until(lambda: [it.seen.breaks for it in one.wall.rows(0)] == [0], "the chain holds for both")
    window.leave()


# ---- bad input ----------------------------------------------------------------------


def test_whatever_arrives_the_collector_goes_on(
    broker: Broker, collect: Collect, talkers: Callable[..., Talker]
) -> None:
    collector, window = collect(broker), talkers(broker)
    pen, other = ratings(6), ratings(6, Pen("430602-0199-9", ledger="deadbeef"))
    topic = wire.window_topic(WINDOW, "fact", "rating.given")
    window.send(pen, 1, 2)
    window.say(topic, b"not JSON")
    window.say(topic, b"\x00\xff" * 500_000)
    window.say(topic, b'{"padding":"' + b"x" * 999_000 + b'"}')
    window.say(topic, other.written[0][1])  # the source is another window
    window.say(topic, pen.written[2][1].replace(b'"time"', b'"thyme"'))  # a field is missing
    sung = wire.window_topic(WINDOW, "fact", "rating.sung")
    window.say(sung, pen.written[3][1].replace(b"rating.given", b"rating.sung"))  # a type of the future
    window.say(topic, pen.written[0][1])  # a sequence from the past
    window.say(topic, pen.written[1][1].replace(b'"grade":4', b'"grade":5'))  # the same id with other content
    window.say(wire.window_topic(WINDOW, "presence"), b"perhaps", retain=True)
    window.say(wire.window_topic(WINDOW, "status"), b'{"state":7}', retain=True)
    window.say(f"windows/v1/{COUNTY}/kitchen/fact/rating.given", b"?")
    window.send(pen, 5, 6)
    window.until_acked(1, 2, 3, 4, 5, 6)
    until(lambda: sum(shut_in(collector.book).values()) == 9, "all that is odd is shut in")
    assert shut_in(collector.book) == {
        (WINDOW, "not_json"): 2,
        (WINDOW, "too_large"): 2,
        (WINDOW, "wrong_window"): 1,
        (WINDOW, "field"): 2,
        (WINDOW, "conflict"): 1,
        ("", "window_name"): 1,
    }
    window.until_acked(1, ledger="deadbeef")  # its id could be read
    until(lambda: collector.wall.standing().again == 1, "the sequence from the past is counted")
    (row,) = collector.wall.rows(0)
    assert (row.seen.misfits, row.seen.unknown, collector.wall.nobody()) == (8, 1, 1)
    assert len(kept(collector.book)) == 5


def test_a_fact_that_the_book_cannot_hold_stops_no_other(
    mosquitto: Broker, collect: Collect, talkers: Callable[..., Talker]
) -> None:
    collector, window = collect(mosquitto), talkers(mosquitto)
    with collector.book.engine.begin() as tx:
        tx.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON facts WHEN NEW.seq = 4 BEGIN SELECT RAISE(ABORT, 'never 4'); END"
        )
    window.send(ratings(8))
    window.until_acked(*range(1, 9))
    assert len(kept(collector.book)) == 7
    assert shut_in(collector.book) == {(WINDOW, "unkeepable"): 1}


# ---- what fails ----------------------------------------------------------------------


def test_nothing_is_acknowledged_while_the_book_takes_nothing(
    mosquitto: Broker, collect: Collect, talkers: Callable[..., Talker]
) -> None:
    collector, window, pen = collect(mosquitto), talkers(mosquitto), ratings(12_000)
    with Book(str(collector.book.engine.url)).engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        window.send(pen)
        until(lambda: collector.wall.standing().trouble == "book", "the wall says that the book takes nothing")
        until(lambda: collector.collector.waiting >= BATCH, "a batch and more waits")
        size = len(pen.written[0][1])
        bound = BATCH + ROOM // (size + FACT) + (MOST + CHUNK) // size
        stays(lambda: not window.acks and collector.collector.waiting <= bound, "nothing more is read", 0.5)
        other.rollback()
    assert bound < 12_000
    window.until_acked(*range(1, 12_001), within=60)
    until(lambda: collector.wall.standing().trouble is None, "the wall says that it is over")
    assert kept(collector.book) == [payload for _, payload in pen.written]


def test_a_book_that_is_locked_at_the_start_is_waited_for(mosquitto: Broker, tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path}/book.db")
    with Book(str(book.engine.url)).engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        collector = Running(book, mosquitto.port)
        until(lambda: collector.wall.standing().trouble == "book", "the wall says that the book takes nothing")
        other.rollback()
    collector.connected()
    assert collector.wall.standing().trouble is None
    collector.stop()


def test_a_broker_that_is_killed_loses_nothing(broker: Broker, collect: Collect, tmp_path: Path) -> None:
    collector = collect(broker)
    window = Window(tmp_path, broker.port).start()
    for _ in range(3):
        window.commit(40)
        broker.kill()
        until(lambda: not collector.wall.standing().connected, "the wall says that it is not connected")
        window.commit(40)
        broker.start()
        until(lambda: collector.wall.standing().connected, "and that it is again")
    until(lambda: window.ledger.backlog()[0] == 0, "the window is rid of all its facts", 30)
    window.stop()
    assert kept(collector.book) == written(window)
    window.ledger.close()


def test_a_postgresql_that_goes_away_and_comes_back_loses_nothing(mosquitto: Broker, collect: Collect) -> None:
    server = Postgresql()
    try:
        collector, window, pen = collect(mosquitto, url=server.url), Talker(mosquitto.port), ratings(900)
        window.send(pen, *range(1, 301))
        window.until_acked(*range(1, 301))
        server.stop("immediate")
        window.send(pen, *range(301, 601))
        until(lambda: collector.wall.standing().trouble == "book", "the wall says so")
        server.start()
        window.send(pen, *range(601, 901))
        window.until_acked(*range(1, 901), within=30)
        assert kept(collector.book) == [payload for _, payload in pen.written]
        window.leave()
        collector.book.close()
    finally:
        server.remove()


@pytest.mark.parametrize("losses", [0, 1, 3, 6, 40, 4000])
def test_the_rest_after_a_loss_doubles_from_one_second_to_a_minute(losses: int) -> None:
    pace = Pace()
    least, most = backoff(losses, pace, 0.0), backoff(losses, pace, 1.0)
    assert 1 <= least <= most == min(60, 2.0**losses if losses < 10 else 60)
    assert least == max(1, most / 2)


# ---- the shipped broker's terms ----------------------------------------------------------------------


def test_over_tls_with_the_countys_certificates_and_rights_a_flood_comes_through(tmp_path: Path) -> None:
    for command in (["authority", "平江县"], ["broker", "127.0.0.1"], ["sign", COUNTY]):
        subprocess.run([FIRMWARE / "certificates", "-d", tmp_path, *command], check=True, capture_output=True)
    broker = Mosquitto(
        tmp_path,
        more=f"acl_file {FIRMWARE}/appliance.acl\ncafile {tmp_path}/ca.crt\ncertfile {tmp_path}/broker.crt\n"
        f"keyfile {tmp_path}/broker.key\nrequire_certificate true\nuse_identity_as_username true\nuser root\n",
    ).start()
    terms = Terms(
        host="127.0.0.1",
        port=broker.port,
        ca_file=tmp_path / "ca.crt",
        cert_file=tmp_path / f"{COUNTY}.crt",
        key_file=tmp_path / f"{COUNTY}.key",
    )
    collector = Running(Book(f"sqlite:///{tmp_path}/book.db"), broker.port, broker=terms).connected()
    subprocess.run([FIRMWARE / "certificates", "-d", tmp_path, "sign", WINDOW], check=True, capture_output=True)
    shown = Address(
        host="127.0.0.1",
        port=broker.port,
        ca_file=terms.ca_file,
        cert_file=tmp_path / f"{WINDOW}.crt",
        key_file=tmp_path / f"{WINDOW}.key",
    )
    window = Window(tmp_path, broker.port, address=shown)
    window.commit(2000)
    window.start()
    until(lambda: window.ledger.backlog()[0] == 0, "the window is rid of all its facts", 30)
    window.stop()
    collector.stop()
    assert len(written(window)) == 2000
    window.ledger.close()
    broker.kill()


def test_a_certificate_that_the_broker_does_not_know_is_refused_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for place in (tmp_path, tmp_path / "other"):
        for command in (["authority", "平江县"], ["broker", "127.0.0.1"], ["sign", COUNTY]):
            subprocess.run([FIRMWARE / "certificates", "-d", place, *command], check=True, capture_output=True)
    broker = Mosquitto(
        tmp_path,
        more=f"cafile {tmp_path}/ca.crt\ncertfile {tmp_path}/broker.crt\nkeyfile {tmp_path}/broker.key\n"
        "require_certificate true\nuser root\n",
    ).start()
    terms = Terms(host="127.0.0.1", port=broker.port, ca_file=tmp_path / "other/ca.crt")
    book = Book(f"sqlite:///{tmp_path}/book.db")
    collector = Running(book, broker.port, broker=terms)
    stays(lambda: not collector.wall.standing().connected, "nobody is let in", 1)
    collector.stop()
    broker.kill()
