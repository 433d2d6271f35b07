"""The stream cuts the same messages out of bytes however they come in, keeps none that is too large, stops a flood."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.courier.stream import BYTES, Stream

LARGEST = 2000
Pair = tuple[Stream, socket.socket]


def pair() -> Pair:
    near, far = socket.socketpair()
    near.setblocking(False)
    return Stream(near, LARGEST), far


@pytest.fixture
def line() -> Iterator[Pair]:
    stream, far = pair()
    yield stream, far
    stream.close()
    far.close()


def message(topic: bytes, payload: bytes, number: int | None = None) -> bytes:
    """A PUBLISH packet of a broker, at QoS 1 where it has a number."""
    body = len(topic).to_bytes(2) + topic + (number.to_bytes(2) if number else b"") + payload
    return bytes([0x32 if number else 0x30]) + length(len(body)) + body


def length(number: int) -> bytes:
    """A length as MQTT writes it."""
    digits = []
    while number > 127:
        digits.append(number % 128 + 128)
        number //= 128
    return bytes([*digits, number])


def taken(stream: Stream) -> list[tuple[bytes, bytes]]:
    """All that waits."""
    found = []
    while message := stream.take():
        found.append(message)
    return found


SIZES = st.sampled_from([0, 1, 100, 127, 128, LARGEST - 50, LARGEST + 1, 3 * LARGEST, 70_000])


@settings(deadline=None)
@given(st.lists(st.tuples(SIZES, st.booleans()), max_size=8), st.data())
def test_however_the_bytes_come_the_same_messages_are_cut_out_of_them(
    messages: list[tuple[int, bool]], data: st.DataObject
) -> None:
    stream, far = pair()
    whole, wanted, answers, subscribed = b"", [], b"", b"\x90\x03\x00\x01\x01"
    for number, (size, counted) in enumerate(messages, 1):
        payload = bytes([number]) * size
        whole += message(b"t/%d" % number, payload, number if counted else None) + subscribed
        wanted.append((b"t/%d" % number, payload if size < LARGEST else b""))
        answers += b"\x40\x02" + number.to_bytes(2) if counted else b""
    at, found, paho = 0, [], b""
    while at < len(whole):
        size = data.draw(st.sampled_from([1, 2, 3, 7, 100, 5000, 60_000]))
        far.sendall(whole[at : at + size])
        at += size
        stream.fill()
        found += taken(stream)
        while stream.for_paho:
            paho += stream.recv(3)
    assert found == wanted
    assert paho == subscribed * len(messages)
    stream.flush()
    far.setblocking(False)
    assert (far.recv(1000) if answers else b"") == answers
    assert not stream.ended
    stream.close()
    far.close()


def test_what_was_published_leaves_in_one_piece_and_is_owed_until_it_is_confirmed(line: Pair) -> None:
    stream, far = line
    for number in range(100):
        stream.publish(b"windows/fact", b"%d" % number)
    stream.flush()
    sent = far.recv(100_000)
    assert sent.count(b"windows/fact") == 100
    assert stream.owed == 100
    first = sent[2 + 14 : 2 + 16]
    far.sendall(b"\x40\x02" + first + b"\x40\x02" + first + b"\x40\x02\x00\x01")
    stream.fill()
    assert stream.owed == 99, "confirmed twice is confirmed once, and what was never sent is nothing"


@pytest.mark.parametrize(
    "junk",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five digits
        b"\x34\x04\x00\x01t\x00\x01",  # QoS 2, for which nobody asked
        b"\x32\x04\x00\x09t\x00",  # a topic longer than its packet
        b"\x90\xff\xff\x03" + b"\x00" * 20,  # a confirmation of 65,535 bytes
        b"\x32\x02\x00\x00",  # no packet identifier
    ],
)
def test_what_is_no_mqtt_ends_the_stream(line: Pair, junk: bytes) -> None:
    stream, far = line
    far.sendall(message(b"t", b"good") + junk)
    stream.fill()
    assert stream.ended
    assert taken(stream) == [(b"t", b"good")]


def takes(far: socket.socket, packets: bytes) -> bool:
    """Whether the other end could still send something."""
    try:
        return far.send(packets) > 0
    except BlockingIOError:
        return False


def test_a_flood_that_nobody_takes_stays_with_the_broker(line: Pair) -> None:
    stream, far = line
    far.setblocking(False)
    packets = message(b"t", b"x" * 1000) * 60
    while takes(far, packets):
        stream.fill()
    waited = len(taken(stream)) * 1000
    assert BYTES / 2 < waited <= BYTES + 100_000
    stream.fill()
    assert taken(stream), "what waited with the broker is read once there is room"
