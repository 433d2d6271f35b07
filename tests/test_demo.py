"""The demo, started for real: everything answers, what dies comes back, and when it ends nothing is left of it."""

import os
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from appliance.broker import Hold
from tests.conftest import until
from tests.ground_courier.waiting import is_free
from tests.ground_demo import Demo, free_base, heals, health, run_once


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with Demo(tmp_path_factory.mktemp("demo") / "state", free_base()) as demo:
        yield demo


def addresses(said: str) -> dict[str, str]:
    """The lines that name an address, each name with its address."""
    lines = [line.rsplit(maxsplit=1) for line in said.splitlines() if "://" in line]
    return {name.strip(): address for name, address in lines}


def test_it_prints_one_address_a_line(demo: Demo) -> None:
    first, second = demo.windows
    assert addresses(demo.said()) == {
        "县级监测大屏": f"http://127.0.0.1:{demo.ports.county}/",
        "一号窗口 经办面板": f"http://127.0.0.1:{first}/",
        "一号窗口 居民屏": f"http://127.0.0.1:{first}/display",
        "一号窗口 模拟台": f"http://127.0.0.1:{first}/bench",
        "二号窗口 经办面板": f"http://127.0.0.1:{second}/",
        "二号窗口 居民屏": f"http://127.0.0.1:{second}/display",
        "二号窗口 模拟台": f"http://127.0.0.1:{second}/bench",
        "消息服务器": f"mqtt://127.0.0.1:{demo.ports.broker}",
    }


def test_every_printed_page_is_there(demo: Demo) -> None:
    for address in addresses(demo.said()).values():
        parts = urlsplit(address)
        if parts.scheme == "http":
            link = HTTPConnection(parts.netloc, timeout=5)
            link.request("GET", parts.path)
            page = link.getresponse()
            assert (page.status, page.getheader("Content-Type")) == (200, "text/html; charset=utf-8"), address
            assert '<html lang="zh-CN">' in page.read().decode()
            link.close()


def test_every_web_address_answers_healthz_with_json(demo: Demo) -> None:
    for port in (demo.ports.county, *demo.windows):
        assert health(port)["ok"] is True


def test_both_windows_reach_the_county_s_broker(demo: Demo) -> None:
    until(lambda: all(health(port)["connected"] for port in demo.windows), 10, "a window did not connect")


def test_the_broker_takes_any_mqtt_client_and_a_megabyte(demo: Demo) -> None:
    client = Client(CallbackAPIVersion.VERSION2, client_id="visitor")
    got: list[int] = []
    client.on_message = lambda _client, _data, message: got.append(len(message.payload))
    client.connect("127.0.0.1", demo.ports.broker)
    client.loop_start()
    try:
        client.subscribe("visitor/#", 1)
        assert client.publish("visitor/large", b"x" * 1_000_000, qos=1).rc is MQTTErrorCode.MQTT_ERR_SUCCESS
        until(lambda: got == [1_000_000], 10, "a megabyte did not come back")
    finally:
        client.disconnect()
        client.loop_stop()


def test_nothing_listens_beyond_this_machine(demo: Demo) -> None:
    ours = {demo.ports.county, demo.ports.broker, *demo.windows}
    heard = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, port = local.split(":")
            if state == "0A" and int(port, 16) in ours:
                heard[int(port, 16)] = address
    assert heard == dict.fromkeys(ours, "0100007F")


def test_a_second_demo_on_the_same_state_is_one_sentence(demo: Demo) -> None:
    status, said, complaint = run_once(demo.state, "--port-base", str(free_base()))
    assert (status, said) == (1, "")
    assert complaint == (
        f"演示已经在运行（进程 {demo.process.pid}），地址见启动它的终端；要重新启动，请先在那里按 Ctrl-C。\n"
    )
    assert heals(demo.ports.county)


def test_a_broker_killed_from_the_bench_comes_back_and_the_windows_with_it(demo: Demo) -> None:
    hold = Hold(demo.state / "broker.pid")
    before = demo.pid_of("appliance.broker")
    assert before is not None
    assert hold.kill()
    until(lambda: not hold.up(), 5)
    until(lambda: demo.pid_of("appliance.broker") not in {None, before}, 15, "the broker was not started again")
    until(lambda: all(heals(port) for port in demo.windows), 30, "the windows did not connect again")
    assert "消息服务器停止了" in demo.said()
    until(lambda: "消息服务器已恢复" in demo.said(), 10)


@pytest.mark.parametrize(
    ("words", "name", "part"), [("window-0107.toml", "一号窗口", 0), ("county.toml", "县级监测", 2)]
)
def test_a_part_killed_at_any_instant_is_started_again_with_what_it_knew(
    demo: Demo, words: str, name: str, part: int
) -> None:
    port = (*demo.windows, demo.ports.county)[part]
    ledger = health(port).get("ledger")
    before = demo.pid_of(words)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until(lambda: demo.pid_of(words) not in {None, before}, 15, f"{name} was not started again")
    until(lambda: heals(port), 30, f"{name} did not answer again")
    assert health(port).get("ledger") == ledger
    until(lambda: f"{name}已恢复" in demo.said(), 10)


def test_ctrl_c_pressed_twice_ends_all_of_it_and_the_next_start_goes_on(tmp_path: Path) -> None:
    base = free_base()
    with Demo(tmp_path / "state", base) as demo:
        family = demo.family()
        assert len(family) == 4, family
        ledgers = [health(port)["ledger"] for port in demo.windows]
        assert demo.interrupt(times=2) == 0
        assert demo.said().endswith("演示已结束。\n")
        assert "Traceback" not in demo.said()
    assert demo.family() == {}
    assert all(is_free(port) for port in range(base, base + 4))

    with Demo(tmp_path / "state", base) as demo:
        assert [health(port)["ledger"] for port in demo.windows] == ledgers
        demo.process.terminate()
        assert demo.process.wait(20) == 0
    assert demo.family() == {}


def test_a_demo_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    with Demo(tmp_path / "state", free_base()) as demo:
        demo.process.kill()
        demo.process.wait(5)
        until(lambda: demo.family() == {}, 20, "processes were left behind")


def test_ctrl_c_during_the_start_ends_what_was_started(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "state", free_base())
    demo.begin()
    until(demo.family, 20, "nothing was started")
    assert demo.interrupt() == 0
    assert demo.said().endswith("演示已结束。\n")
    assert "Traceback" not in demo.said()
    assert demo.family() == {}


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path) -> None:
    """Under `make` the hang-up reaches make alone, which waits for the demo: the demo has to see for itself."""
    ours, theirs = os.openpty()
    demo = Demo(tmp_path / "state", free_base())
    demo.begin(theirs)
    os.close(theirs)
    until(demo.family, 20, "nothing was started")
    os.close(ours)
    assert demo.process.wait(20) == 0
    assert demo.family() == {}


def test_a_port_in_use_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    base = free_base()
    with socket.create_server(("127.0.0.1", base + 2)):
        status, said, complaint = run_once(tmp_path / "state", "--port-base", str(base))
    assert (status, said) == (1, "")
    assert complaint == f"端口 {base + 2}（二号窗口）已被其他程序占用，请关闭那个程序，或用 --port-base 换一组端口。\n"


@pytest.mark.parametrize("base", ["80", "65533", "-1"])
def test_a_port_base_out_of_range_is_one_sentence(tmp_path: Path, base: str) -> None:
    assert run_once(tmp_path / "state", "--port-base", base) == (1, "", "--port-base 应为 1024 到 65532 的整数。\n")


def test_a_state_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    status, said, complaint = run_once(tmp_path / "file" / "state", "--port-base", str(free_base()))
    assert (status, said) == (1, "")
    assert complaint == f"目录 {tmp_path / 'file' / 'state'} 不能写入，请用 --state 指定一个可以写入的目录。\n"


def test_a_state_directory_whose_name_no_url_can_carry_is_one_sentence(tmp_path: Path) -> None:
    status, _, complaint = run_once(tmp_path / "my state", "--port-base", str(free_base()))
    assert status == 1
    assert complaint == f"目录 {tmp_path / 'my state'} 的名称里有空格或问号，请用 --state 指定另一个目录。\n"


def test_a_part_that_refuses_to_start_ends_the_demo_with_its_own_sentence(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "county.db").mkdir(parents=True)
    status, said, complaint = run_once(state, "--port-base", str(free_base()))
    assert status == 1
    assert complaint.startswith("县级监测没有启动：")
    assert complaint.count("\n") == 1
    assert "正在结束演示" in said
    assert Demo(state, 1).family() == {}
