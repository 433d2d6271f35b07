"""A damaged write-ahead log, after a real kill -9: whatever is lost, no sequence and no number is given twice."""

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from appliance import wire
from appliance.counter import Counter
from appliance.ledger import Ledger
from appliance.ledger_wal import BIG_ENDIAN, FRAME, HEADER, PAGE, Loss, checksum
from appliance.window.rules import Rules
from tests.conftest import WINDOW, HandClock
from tests.test_ledger import AT, stray

LENGTH = FRAME.size + PAGE
DAY = AT.day

SERVES = """
import sys
from pathlib import Path
from appliance.ledger import Ledger
from appliance.window.desk import Counts, Desk
from tests.test_ledger import AT, WINDOW, case, stray

place, folds = Path(sys.argv[1]), sys.argv[2] == "folds"
ledger = Ledger.open(place / "ledger.db", WINDOW)
ledger.check(lambda _: False)
given = visits = 0

def serve(rounds):
    global given, visits
    for _ in range(rounds):
        visits += 1
        desk = Desk(ledger=ledger.id, counts=(Counts(AT.day, visits=visits, cases=visits),))
        facts = stray(1 + visits % 3)
        if visits % 5 == 0:
            facts.append(case(f"0107-1-20261123-3F{visits:03d}", f"form-{visits}"))
        given = ledger.commit(facts, AT, desk)[-1]
        if visits % 4 == 0:
            ledger.acknowledge([(1, given - 2)])

if folds:
    serve(110)
    ledger.tidy()
serve(8)
print(ledger.id, given, visits, flush=True)
sys.stdin.read()
"""


class Killed(msgspec.Struct, frozen=True):
    """What a killed window left, and what it had given by then."""

    place: Path
    ledger: str
    given: int
    visits: int

    @property
    def frames(self) -> int:
        """How many frames there are in its log, those of a former one included."""
        return ((self.place / "ledger.db-wal").stat().st_size - HEADER.size) // LENGTH


def killed(place: Path, how: str) -> Killed:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVES, place, how],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ledger, given, visits = process.stdout.readline().split()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return Killed(place, ledger, int(given), int(visits))


@pytest.fixture(scope="module", params=["grows", "folds"])
def left(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return killed(tmp_path_factory.mktemp("killed"), request.param)


def copy(left: Killed, place: Path, marked: bool) -> Path:
    """The killed window's files; without the mark, as after a power cut that came before it was on the card."""
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"):
        shutil.copyfile(left.place / name, place / name)
    if not marked:
        (place / "ledger.db.lock").write_bytes(bytes(29))
    return place / "ledger.db"


def present(log: Path, every: int = 1, first: int = 0) -> list[int]:
    """Where the frames of the present log begin, of `every` so many one: what a former log has left has other salts."""
    content = log.read_bytes()
    places = range(HEADER.size, len(content) - LENGTH + 1, LENGTH)
    return [place for place in places if content[place + 8 : place + 16] == content[16:24]][first::every]


Harm = Callable[[bytearray, int], None]


def flip(offset: int) -> Harm:
    def harm(content: bytearray, at: int) -> None:
        content[at + offset] ^= 0x10

    return harm


def zero(length: int) -> Harm:
    def harm(content: bytearray, at: int) -> None:
        content[at : at + length] = bytes(length)

    return harm


def scribble(content: bytearray, at: int) -> None:
    content[at : at + LENGTH] = os.urandom(LENGTH)


def cut(more: int) -> Harm:
    def harm(content: bytearray, at: int) -> None:
        del content[at + more :]

    return harm


def zero_to_the_end(content: bytearray, at: int) -> None:
    content[at:] = bytes(len(content) - at)


HARMS = {
    "page number": flip(3),
    "size after commit": flip(7),
    "first salt": flip(8),
    "second salt": flip(15),
    "checksum": flip(20),
    "bit of the page": flip(FRAME.size + 2000),
    "zeroed header": zero(FRAME.size),
    "zeroed frame": zero(LENGTH),
    "zeroed to the end": zero_to_the_end,
    "noise": scribble,
}
CUTS = {"cut off before": cut(0), "cut off within": cut(LENGTH // 2)}


def goes_on_beyond(path: Path, left: Killed) -> tuple[Ledger, Loss | None]:
    """Start on what is left, give one more of each, and hold them against all that was given before."""
    ledger = Ledger.open(path, WINDOW)
    assert (ledger.id, ledger.damage) == (left.ledger, None)
    kept = [msgspec.json.decode(one.payload, type=wire.Envelope) for one in ledger.unsent(10_000)]
    assert all(int(one.sequence) <= left.given for one in kept)
    desk = ledger.desk()
    number = ledger.commit(stray(1), AT, desk)[0]
    assert number > left.given
    assert desk.counted(DAY).visits >= left.visits
    assert desk.counted(DAY).cases >= left.visits
    return ledger, ledger.loss


@pytest.mark.parametrize("kind", HARMS | CUTS)
def test_whatever_frame_is_damaged_after_a_kill_nothing_is_given_twice(left: Killed, tmp_path: Path, kind: str) -> None:
    # Of three frames each kind meets one, and each frame a third of the kinds.
    for at in present(left.place / "ledger.db-wal", 3, [*HARMS, *CUTS].index(kind) % 3):
        place = tmp_path / str(at)
        place.mkdir()
        damaged(copy(left, place, marked=True), (HARMS | CUTS)[kind], at)
        ledger, loss = goes_on_beyond(place / "ledger.db", left)
        assert loss or ledger.last_seq == left.given + 1, "only of acknowledgements may the loss go unsaid"
        ledger.close()


@pytest.mark.parametrize("kind", HARMS)
def test_nor_after_a_power_cut_that_took_the_mark_as_well(left: Killed, tmp_path: Path, kind: str) -> None:
    for at in present(left.place / "ledger.db-wal", 3, [*HARMS].index(kind) % 3):
        place = tmp_path / str(at)
        place.mkdir()
        damaged(copy(left, place, marked=False), HARMS[kind], at)
        ledger, _ = goes_on_beyond(place / "ledger.db", left)
        ledger.close()


def resalt(log: Path, first: int) -> None:
    """Make this the log's first salt, as SQLite's dice may fall, with all the sums that follow from it."""
    content = bytearray(log.read_bytes())
    places = present(log)
    struct.pack_into(">I", content, 16, first)
    big = HEADER.unpack_from(content)[0] == BIG_ENDIAN
    sums = checksum(bytes(content[:24]), (0, 0), big)
    struct.pack_into(">2I", content, 24, *sums)
    for at in places:
        struct.pack_into(">I", content, at + 8, first)
        sums = checksum(bytes(content[at : at + 8] + content[at + FRAME.size : at + LENGTH]), sums, big)
        struct.pack_into(">2I", content, at + 16, *sums)
    log.write_bytes(content)


def test_nor_when_the_log_is_damaged_again_after_the_window_has_gone_on(left: Killed, tmp_path: Path) -> None:
    """What the first damage made it skip is far more than the second would let it expect."""
    path = copy(left, tmp_path, marked=False)
    damaged(path, scribble, present(left.place / "ledger.db-wal")[0])
    ledger, loss = goes_on_beyond(path, left)
    given = ledger.last_seq
    assert loss
    # Killed, and its log and its mark are gone: what is left is the file itself.
    for suffix in ("", "-wal", "-shm", ".lock"):
        shutil.copyfile(path.with_name(path.name + suffix), tmp_path / f"again.db{suffix}")
    ledger.close()
    log = tmp_path / "again.db-wal"
    damaged(tmp_path / "again.db", scribble, present(log)[0])
    (tmp_path / "again.db.lock").write_bytes(bytes(29))
    again = Ledger.open(tmp_path / "again.db", WINDOW)
    assert again.commit(stray(1), AT, again.desk())[0] > given
    again.close()


@pytest.mark.parametrize("kind", ["zeroed header", "zeroed frame", "zeroed to the end"])
def test_nor_when_the_salts_are_so_low_that_zeros_look_like_a_former_log(
    left: Killed, tmp_path: Path, kind: str
) -> None:
    path = copy(left, tmp_path, marked=False)
    log = path.with_name(path.name + "-wal")
    last = present(log)[-1]
    resalt(log, 1000)
    assert present(log)[-1] == last
    damaged(path, HARMS[kind], last)
    ledger, loss = goes_on_beyond(path, left)
    assert loss
    ledger.close()


@pytest.mark.parametrize("at", range(0, HEADER.size, 4))
@pytest.mark.parametrize("marked", [True, False])
def test_nor_when_the_head_of_the_log_is_damaged(left: Killed, tmp_path: Path, at: int, marked: bool) -> None:
    damaged(copy(left, tmp_path, marked), flip(0), at)
    ledger, _ = goes_on_beyond(tmp_path / "ledger.db", left)
    ledger.close()


@pytest.mark.parametrize("lacks", [("-wal",), ("-wal", "-shm")])
def test_nor_when_the_log_is_gone(left: Killed, tmp_path: Path, lacks: tuple[str, ...]) -> None:
    path = copy(left, tmp_path, marked=True)
    for tail in lacks:
        path.with_name(path.name + tail).unlink()
    ledger, loss = goes_on_beyond(path, left)
    assert loss
    assert loss.copy is None
    ledger.close()


def test_a_kill_alone_is_no_loss(left: Killed, tmp_path: Path) -> None:
    for marked in (True, False):
        place = tmp_path / str(marked)
        place.mkdir()
        ledger = Ledger.open(copy(left, place, marked), WINDOW)
        assert (ledger.loss, ledger.last_seq) == (None, left.given)
        ledger.close()


HELD = """
import fcntl, sys
for name, start, length in ((sys.argv[1] + "-shm", 128, 1), (sys.argv[1], 0x40000002, 510)):
    with open(name, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            print("free:", name)
        except OSError:
            pass
"""
"""SQLite's locks that say that a ledger is in use: without them another program cuts off the memory that both share."""


def test_another_program_sees_that_a_window_started_after_a_kill_has_the_ledger_open(
    left: Killed, tmp_path: Path
) -> None:
    path = copy(left, tmp_path, marked=True)
    with closing(Ledger.open(path, WINDOW)) as ledger:
        ledger.check(lambda _: False)
        found = subprocess.run([sys.executable, "-c", HELD, path], capture_output=True, text=True, check=True)
        assert found.stdout == ""


def test_a_loss_is_counted_once_however_often_the_window_is_killed_after_it(left: Killed, tmp_path: Path) -> None:
    path = copy(left, tmp_path, marked=False)
    places = present(path.with_name("ledger.db-wal"))
    damaged(path, HARMS["checksum"], places[len(places) // 2])
    ledger, loss = goes_on_beyond(path, left)
    assert loss is not None
    again = tmp_path / "again"
    again.mkdir()
    now = Killed(tmp_path, left.ledger, ledger.last_seq, left.visits)
    ledger_again, loss = goes_on_beyond(copy(now, again, marked=False), now)
    assert loss is None
    ledger_again.close()
    ledger.close()


def test_a_kill_within_a_commit_is_no_loss(left: Killed, tmp_path: Path) -> None:
    path = copy(left, tmp_path, marked=True)
    log = path.with_name("ledger.db-wal")
    last = present(log)[-1]
    content = bytearray(log.read_bytes())
    content[last + LENGTH :] = b""
    # A whole frame of a transaction that never committed, as SQLite leaves it: its salts, its sums, no size.
    content += frame_after(bytes(content[last : last + LENGTH]))
    log.write_bytes(bytes(content))
    ledger, loss = goes_on_beyond(path, left)
    assert loss is None
    ledger.close()


def frame_after(before: bytes) -> bytes:
    _, _, one, two, *sums = FRAME.unpack_from(before)
    head, page = struct.pack(">2I", 3, 0), bytes(range(256)) * (PAGE // 256)
    ends = checksum(head + page, (sums[0], sums[1]), big_endian=False)
    return head + struct.pack(">4I", one, two, *ends) + page


def damaged(path: Path, harm: Harm, at: int) -> None:
    log = path.with_name(path.name + "-wal")
    content = bytearray(log.read_bytes())
    harm(content, at)
    log.write_bytes(bytes(content))


def test_the_clerk_is_told_that_the_last_records_are_lost(
    left: Killed, tmp_path: Path, rules: Rules, hand_clock: HandClock
) -> None:
    path = copy(left, tmp_path, marked=True)
    damaged(path, HARMS["checksum"], present(path.with_name("ledger.db-wal"))[4])
    ledger = Ledger.open(path, WINDOW)
    counter = Counter(ledger, rules, hand_clock)
    counter.start()
    (trouble,) = counter.view().troubles
    assert (trouble.device, trouble.reason) == ("ledger", "frames_lost")
    assert (tmp_path / trouble.detail).stat().st_size
    ledger.close()
