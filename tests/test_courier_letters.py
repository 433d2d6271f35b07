"""What comes over the wire to a window: read if it can be, laid aside if not, never an exception."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import wire
from appliance.courier import letters

WINDOW, LEDGER = "430602-0107-1", "3f9c1a7e"
ACK = wire.window_topic(WINDOW, "ack")
PRESENCE = b'{"online": true, "session": 7}'
ORDER = (
    b'{"specversion": "1.0", "id": "o-1", "source": "/counties/430602", "type": "window.order.identify.v1",'
    b' "time": "2026-11-22T09:00:00+08:00", "data": {"by": "county"}}'
)


def read(topic: str, payload: bytes, last_seq: int = 50) -> letters.Letter:
    """As this window with fifty facts reads it."""
    return letters.read(WINDOW, LEDGER, last_seq, topic, payload)


def test_an_acknowledgement_is_read_with_its_ranges_in_order() -> None:
    assert read(ACK, b'{"ledger": "3f9c1a7e", "seqs": [[42, 42], [1, 30], [20, 40]]}') == letters.Acked(
        [(1, 40), (42, 42)]
    )


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", "ack"),
        (b"\xff\xfe", "ack"),
        (b"[]", "ack"),
        (b'{"ledger": "3f9c1a7e"}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[1]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [["1", "2"]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[2, 1]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[0, 1]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[-5, 5]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[1, 51]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [[1, 99999999999999999999999]]}', "ack"),
        (b'{"ledger": "3f9c1a7e", "seqs": [' + b",".join([b"[1,1]"] * 10_001) + b"]}", "ack"),
        (b'{"ledger": "00000000", "seqs": [[1, 1]]}', "foreign_ack"),
        (b"[" * 1_000_000, "ack"),
    ],
)
def test_an_acknowledgement_that_cannot_be_acknowledges_nothing(payload: bytes, kind: str) -> None:
    letter = read(ACK, payload)
    assert isinstance(letter, letters.Stray)
    assert letter.kind == kind
    assert len(letter.why) < 500


def test_an_order_has_an_id_and_the_name_of_its_topic() -> None:
    assert read(wire.window_topic(WINDOW, "order", "identify"), ORDER) == letters.Ordered("o-1", "identify")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("identify", b"identify!"),
        ("identify", b'{"specversion": "1.0", "type": "window.order.identify.v1"}'),
        ("identify", b'{"specversion": "1.0", "id": "", "type": "window.order.identify.v1"}'),
        ("restart", ORDER),
        ("identify", ORDER.replace(b"o-1", b"o" * 201)),
    ],
)
def test_an_order_that_does_not_fit_is_laid_aside(name: str, payload: bytes) -> None:
    letter = read(wire.window_topic(WINDOW, "order", name), payload)
    assert isinstance(letter, letters.Stray)
    assert letter.kind == "order"


def test_presences_are_told_apart() -> None:
    presence = wire.Presence(online=True, session=7)
    assert read("windows/v1/430602/county/presence", PRESENCE) == letters.CountyPresence(presence)
    assert read(wire.window_topic(WINDOW, "presence"), PRESENCE) == letters.OwnPresence(presence)


TOPICS = [*letters.topics(WINDOW), wire.window_topic(WINDOW, "presence"), "x", "", "a/b/c", ACK + "/more"]


@given(st.sampled_from(TOPICS), st.binary() | st.text().map(str.encode))
def test_any_bytes_on_any_topic_are_a_letter(topic: str, payload: bytes) -> None:
    assert isinstance(read(topic, payload), letters.Letter)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_json_on_the_ack_topic_is_a_letter(value: object) -> None:
    payload = msgspec.json.encode({"ledger": LEDGER, "seqs": value})
    letter = read(ACK, payload)
    if isinstance(letter, letters.Acked):
        assert all(1 <= low <= high <= 50 for low, high in letter.ranges)
    else:
        assert isinstance(letter, letters.Stray)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))))
def test_merged_ranges_name_the_same_sequences_once(spans: list[tuple[int, int]]) -> None:
    ranges = [(low, low + more) for low, more in spans]
    merged = letters.merged(ranges)
    named = [seq for low, high in merged for seq in range(low, high + 1)]
    assert named == sorted({seq for low, high in ranges for seq in range(low, high + 1)})
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(merged))
