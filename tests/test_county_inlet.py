"""However the broker's stream is cut into pieces, the same messages come out of it, each answered with its PUBACK."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.county.inlet import HEAD, Arrived, Inlet

LARGEST = 2000


def length(n: int) -> bytes:
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def publish(topic: bytes, payload: bytes, mid: int = 1, qos: int = 1, retain: bool = False) -> bytes:
    body = len(topic).to_bytes(2) + topic + (mid.to_bytes(2) if qos else b"") + payload
    return bytes([0x30 | qos << 1 | retain]) + length(len(body)) + body


class Pipe:
    """A socket pair with an inlet at one end."""

    def __init__(self, largest: int = LARGEST) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.inlet = Inlet(near, largest)

    def pours(self, data: bytes, piece: int) -> list[Arrived]:
        for at in range(0, len(data), piece):
            self.far.sendall(data[at : at + piece])
            self.inlet.fill()
        return self.inlet.take()

    def close(self) -> None:
        self.far.close()
        self.inlet.close()


MESSAGE = st.tuples(st.binary(min_size=1, max_size=30), st.binary(max_size=400), st.integers(1, 65535), st.booleans())


@given(st.lists(MESSAGE, max_size=12), st.integers(1, 700))
def test_any_cutting_brings_the_same_messages(messages: list[tuple[bytes, bytes, int, bool]], piece: int) -> None:
    pipe = Pipe()
    stream = b"".join(publish(topic, payload, mid, retain=retain) for topic, payload, mid, retain in messages)
    found = pipe.pours(stream, piece)
    assert found == [Arrived(topic, payload, len(payload), retain) for topic, payload, _, retain in messages]
    pipe.inlet.flush()
    answers = b"".join(b"\x40\x02" + mid.to_bytes(2) for _, _, mid, _ in messages)
    assert (pipe.far.recv(100_000) if messages else b"") == answers
    pipe.close()


@pytest.mark.parametrize("piece", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("size", [LARGEST + HEAD, LARGEST + HEAD + 1, 1_000_000])
def test_a_message_too_large_keeps_its_head_and_the_next_comes_whole(size: int, piece: int) -> None:
    if piece == 1 and size > 100_000:
        size = 30_000
    pipe = Pipe()
    big = b"%" * size
    found = pipe.pours(publish(b"t", big, 7) + publish(b"u", b"next", 8), piece)
    assert [(it.topic, it.size) for it in found] == [(b"t", size), (b"u", 4)]
    assert len(found[0].payload) <= LARGEST + HEAD
    assert found[1].payload == b"next"
    pipe.inlet.flush()
    assert pipe.far.recv(100) == b"\x40\x02\x00\x07\x40\x02\x00\x08"
    pipe.close()


def test_what_is_no_message_is_for_paho() -> None:
    pipe = Pipe()
    pipe.pours(b"\x20\x02\x00\x00" + publish(b"t", b"x") + b"\xd0\x00", 1000)
    assert pipe.inlet.for_paho
    assert (pipe.inlet.recv(1), pipe.inlet.recv(100)) == (b"\x20", b"\x02\x00\x00\xd0\x00")
    with pytest.raises(BlockingIOError):
        pipe.inlet.recv(1)
    pipe.close()


def test_it_reads_no_more_than_is_asked_for_and_says_that_there_is_more() -> None:
    pipe = Pipe()
    pipe.far.sendall(b"".join(publish(b"t", b"x" * 100, n + 1) for n in range(50)))
    pipe.inlet.fill(10)
    first = pipe.inlet.more
    assert len(pipe.inlet.take()) > 0
    pipe.inlet.fill()
    assert (first, pipe.inlet.more) == (True, False)
    pipe.close()


def test_the_end_of_the_stream_is_told_to_paho() -> None:
    pipe = Pipe()
    pipe.far.close()
    pipe.inlet.fill()
    assert pipe.inlet.for_paho
    assert pipe.inlet.recv(1) == b""
    pipe.inlet.close()


def test_a_message_without_an_answer_gets_none() -> None:
    pipe = Pipe()
    assert pipe.pours(publish(b"t", b"x", qos=0), 100) == [Arrived(b"t", b"x", 1, False)]
    assert pipe.inlet.unsent == 0
    pipe.close()
