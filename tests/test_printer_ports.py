"""The printer's code on real wires: a pty as serial port and as USB printer, TCP sockets, a FIFO."""

import os
import pty
import socket
import termios
import tty
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from time import monotonic

import pytest

from appliance.devices.condition import Condition, Outcome
from appliance.devices.ports import LinePrinterPort, NetworkPort, Port, SerialPort
from appliance.devices.printer import EscPosPrinter
from tests.ground_printer import FAST, GARBAGE, JOB, LONG_JOB, MUTE, OK, PAPER_OUT, FarEnd

ANSWER_S = 0.15


@pytest.fixture
def line() -> Iterator[tuple[FileIO, str]]:
    """A pty: the printer's end and the path of ours, which is held open once more as a cable stays plugged."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with FileIO(master, "r+") as end:
        yield end, os.ttyname(slave)
    os.close(slave)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A TCP port of this machine with small buffers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield server


@pytest.fixture
def far(line: tuple[FileIO, str], listening: socket.socket) -> Iterator[FarEnd]:
    """A far end that no wire leads to yet; it ends before the wires do."""
    del line, listening  # wanted only so that they are made before it
    end = FarEnd()
    yield end
    end.stop()


@pytest.fixture(params=["serial", "lp", "network"])
def port(request: pytest.FixtureRequest, far: FarEnd, line: tuple[FileIO, str], listening: socket.socket) -> Port:
    """Each kind of wire in turn, with the far end at the other end of it."""
    master, path = line
    if request.param == "network":
        far.start(lambda: far.serve_tcp(listening))
        return NetworkPort("127.0.0.1", listening.getsockname()[1])
    far.start(lambda: serve_and_unplug(far, master))
    return SerialPort(path, FAST) if request.param == "serial" else LinePrinterPort(path)


def serve_and_unplug(far: FarEnd, master: FileIO) -> None:
    far.serve(master.fileno())
    if far.gone.is_set():
        master.close()


def printer(port: Port, confirm_s: float = 1.0, mute_s: float = 0.1) -> EscPosPrinter:
    return EscPosPrinter(port, answer_s=ANSWER_S, confirm_s=confirm_s, mute_s=mute_s, slack_s=0.3)


# ---- on every wire --------------------------------------------------------------------------------------------------


def test_a_job_is_printed_and_confirmed(port: Port, far: FarEnd) -> None:
    assert printer(port).carry_out(JOB) == Outcome("confirmed")
    assert far.printed == ["收件回执"]


def test_jobs_follow_one_another_each_printed_once(port: Port, far: FarEnd) -> None:
    press = printer(port)
    assert [press.carry_out(JOB).state for _ in range(3)] == ["confirmed"] * 3
    assert far.printed == ["收件回执"] * 3


def test_a_good_printer_is_ok(port: Port) -> None:
    assert printer(port).condition() == Condition("ok")


def test_a_printer_without_paper_is_bad_and_is_sent_nothing(port: Port, far: FarEnd) -> None:
    far.status = PAPER_OUT
    assert printer(port).condition() == Condition("bad", "paper_out")
    assert printer(port).carry_out(JOB) == Outcome("failed", "paper_out")
    assert far.printed == []


def test_a_mute_printer_is_unknown_and_prints_unconfirmed(port: Port, far: FarEnd) -> None:
    far.status, far.end = MUTE, b""
    assert printer(port).condition() == Condition("unknown", "no_answer")
    assert printer(port).carry_out(JOB) == Outcome("unconfirmed", "no_answer")
    assert far.printed == ["收件回执"]


def test_a_printer_that_knows_no_status_but_answers_the_end_is_confirmed(port: Port, far: FarEnd) -> None:
    far.status = MUTE
    assert printer(port, mute_s=1.0).carry_out(JOB) == Outcome("confirmed")


def test_nonsense_is_not_taken_for_an_answer(port: Port, far: FarEnd) -> None:
    far.status, far.end = GARBAGE, b"\x1d"
    assert printer(port).condition() == Condition("unknown", "strange_answer", "3f ff")
    assert printer(port).carry_out(JOB) == Outcome("unconfirmed", "no_answer", "3f ff")


def test_paper_that_ends_in_the_middle_is_the_reason_why_nothing_was_confirmed(port: Port, far: FarEnd) -> None:
    def runs_out() -> None:
        far.status, far.end = PAPER_OUT, b""

    far.on_job = runs_out
    assert printer(port, confirm_s=0.1).carry_out(JOB) == Outcome("unconfirmed", "paper_out")


def test_a_printer_unplugged_in_the_middle_leaves_an_unconfirmed_paper(port: Port, far: FarEnd) -> None:
    far.leave_after = 5_000
    outcome = printer(port).carry_out(LONG_JOB)
    assert (outcome.state, outcome.reason) == ("unconfirmed", "unplugged")
    assert outcome.detail


def test_a_printer_that_answers_too_late_is_unknown_and_never_said_to_be_ok(port: Port, far: FarEnd) -> None:
    """Its answers arrive while the next question is open: taken for that one's, they would tell of a good printer."""
    far.delay = ANSWER_S * 1.5
    press = printer(port)
    assert {press.condition().state for _ in range(4)} == {"unknown"}


def test_an_answer_that_was_late_is_not_the_answer_to_a_later_question(port: Port, far: FarEnd) -> None:
    far.delay = ANSWER_S * 1.5
    press = printer(port)
    assert press.condition() == Condition("unknown", "no_answer")
    far.delay, far.status = 0.0, PAPER_OUT
    assert press.condition() == Condition("bad", "paper_out")


# ---- serial ---------------------------------------------------------------------------------------------------------


def test_a_paused_serial_printer_does_not_block_for_ever(line: tuple[FileIO, str]) -> None:
    began = monotonic()
    outcome = printer(SerialPort(line[1], FAST)).carry_out(LONG_JOB)
    assert (outcome.state, outcome.reason) == ("unconfirmed", "stalled")
    assert monotonic() - began < len(LONG_JOB) * 10 / FAST * 2 + 3


@pytest.mark.parametrize("kind", [SerialPort, LinePrinterPort])
def test_a_port_that_is_not_there_is_absent(tmp_path: Path, kind: type[SerialPort | LinePrinterPort]) -> None:
    absent = printer(kind(str(tmp_path / "printer")))
    assert (absent.condition().state, absent.condition().reason) == ("bad", "absent")
    assert (absent.carry_out(JOB).state, absent.carry_out(JOB).reason) == ("failed", "absent")


@pytest.mark.parametrize("kind", [SerialPort, LinePrinterPort])
def test_a_file_is_the_wrong_port(tmp_path: Path, kind: type[SerialPort | LinePrinterPort]) -> None:
    path = tmp_path / "printer"
    path.write_text("a file")
    assert printer(kind(str(path))).carry_out(JOB).reason == "wrong_port"
    assert path.read_text() == "a file"


@pytest.mark.parametrize("kind", [SerialPort, LinePrinterPort])
def test_a_folder_is_the_wrong_port(tmp_path: Path, kind: type[SerialPort | LinePrinterPort]) -> None:
    outcome = printer(kind(str(tmp_path))).carry_out(JOB)
    assert (outcome.state, outcome.reason) == ("failed", "wrong_port")


def test_a_serial_port_that_another_program_holds_is_in_use(line: tuple[FileIO, str]) -> None:
    import serial

    with serial.Serial(line[1], exclusive=True):
        assert printer(SerialPort(line[1])).carry_out(JOB).reason == "in_use"


def test_a_printer_switched_off_sends_no_zero_byte_that_would_pass_for_the_end_of_a_job(
    line: tuple[FileIO, str],
) -> None:
    """A break on the line reads as a zero byte unless the port ignores breaks, and a pty cannot send one."""
    port = SerialPort(line[1])
    port.open()
    with FileIO(os.open(line[1], os.O_RDONLY | os.O_NOCTTY)) as same:
        assert termios.tcgetattr(same.fileno())[0] & termios.IGNBRK
    port.close()


def test_a_printer_that_comes_back_is_found(tmp_path: Path, line: tuple[FileIO, str], far: FarEnd) -> None:
    role = tmp_path / "receipt-printer"
    press = printer(SerialPort(str(role), FAST))
    assert press.condition().reason == "absent"
    role.symlink_to(line[1])
    far.start(lambda: far.serve(line[0].fileno()))
    assert press.condition() == Condition("ok")
    assert press.carry_out(JOB) == Outcome("confirmed")


# ---- usb ------------------------------------------------------------------------------------------------------------


def test_what_sends_back_what_it_is_sent_is_no_printer(tmp_path: Path) -> None:
    """A FIFO opened for both is the purest echo; a console with echo on is the one that happens."""
    fifo = tmp_path / "lp0"
    os.mkfifo(fifo)
    press = printer(LinePrinterPort(str(fifo)))
    assert press.condition().reason == "wrong_port"
    assert press.carry_out(JOB).state == "failed"


# ---- network --------------------------------------------------------------------------------------------------------


def test_a_host_that_accepts_and_never_reads_does_not_block(listening: socket.socket) -> None:
    """A half-open socket: the connection stands, nobody is behind it."""
    port = NetworkPort("127.0.0.1", listening.getsockname()[1])
    port.bits_per_second = 25 * FAST
    began = monotonic()
    long = printer(port).carry_out(LONG_JOB * 20)
    assert (long.state, long.reason) == ("unconfirmed", "stalled")
    assert printer(port).carry_out(JOB) == Outcome("unconfirmed", "no_answer")
    assert monotonic() - began < 10


def test_a_host_without_a_printer_refuses(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    listening.close()
    outcome = printer(NetworkPort("127.0.0.1", port)).carry_out(JOB)
    assert (outcome.state, outcome.reason) == ("failed", "refused")


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    outcome = printer(NetworkPort("printer.invalid")).carry_out(JOB)
    assert (outcome.state, outcome.reason) == ("failed", "unreachable")


# ---- whatever happens -----------------------------------------------------------------------------------------------


class Loose:
    """A port whose driver fails in the end, as pyserial's and usblp's do after an unplug."""

    bits_per_second = FAST

    def __init__(self, near: socket.socket) -> None:
        self._near = near

    def open(self) -> None:
        self._near.setblocking(False)

    def write(self, data: bytes, wait: float) -> int:
        assert wait > 0
        return self._near.send(data)

    def unsent(self) -> int:
        return 0

    def read(self, wait: float) -> bytes:
        self._near.settimeout(wait)
        try:
            return self._near.recv(1)
        except TimeoutError:
            return b""

    def discard_input(self) -> None:
        pass

    def close(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_port_that_cannot_even_be_closed_changes_no_outcome(far: FarEnd) -> None:
    near, other = socket.socketpair()
    far.start(lambda: far.serve_connection(other))
    with near:
        far.status = OK
        assert printer(Loose(near)).condition() == Condition("ok")
        assert printer(Loose(near)).carry_out(JOB) == Outcome("confirmed")
