"""A real nginx before a real wall: what happens is on the page at once, by the shipped file and by a default one."""

import base64
import http.client
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import enterable, until
from tests.ground_courier.brokers import Broker, Mosquitto
from tests.ground_courier.waiting import free_port, listens
from tests.test_wall import AWindow, County

FIRMWARE = Path(__file__).parent.parent / "firmware_config/county"
# Debian's nginx.conf as far as it matters, with every file of nginx in a folder of the test.
MAIN = """
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{}}
http {{
    access_log off;
    gzip on;
    {temporary}
    {site}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
PASSWORD = "一个口令"


@contextmanager
def nginx(place: Path, site: str, port: int) -> Iterator[None]:
    temporary = " ".join(f"{name}_temp_path {place}/{name};" for name in TEMPORARY)
    (place / "nginx.conf").write_text(MAIN.format(place=place, temporary=temporary, site=site), encoding="utf-8")
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert program, "the Debian package nginx-light is needed"
    words = [program, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    with subprocess.Popen(words) as process:
        try:
            until(lambda: process.poll() is not None or listens(port), 10)
            assert process.poll() is None, (place / "error.log").read_text(encoding="utf-8")
            yield
        finally:
            process.terminate()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Mosquitto(tmp_path).start()
    yield running
    running.kill()


@pytest.fixture
def county(tmp_path: Path, broker: Broker) -> Iterator[County]:
    made = County(tmp_path, broker.port)
    yield made
    made.stop()


def heard_live(link: http.client.HTTPConnection, window: AWindow, **headers: str) -> http.client.HTTPResponse:
    """Open the stream, have something happen, and read on until it is told; raises TimeoutError when it is not."""
    link.request("GET", "/events", headers=headers)
    answer = link.getresponse()
    assert answer.status == 200
    until_said(answer, "event: hello")
    until_said(answer, "event: regions")
    window.is_("serving", clerk="刘一手")
    until_said(answer, "刘一手")
    return answer


def until_said(answer: http.client.HTTPResponse, words: str) -> None:
    while words not in answer.readline().decode():
        assert not answer.isclosed()


def test_a_default_nginx_holds_nothing_back(tmp_path: Path, broker: Broker, county: County) -> None:
    port = free_port()
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {county.server.url}; }} }}"
    window = AWindow(broker.port, "430602-0107-1", "3f9c1a7e")
    with nginx(tmp_path, site, port):
        answer = heard_live(http.client.HTTPConnection("127.0.0.1", port, timeout=10), window)
    assert answer.headers["Content-Type"].startswith("text/event-stream")


class Site:
    """The shipped file, with a certificate as the README has it made; only its places and ports are of this test."""

    def __init__(self, place: Path, pages: int) -> None:
        self.port = free_port()
        certificates = [str(FIRMWARE / "certificates"), "-d", str(place / "authority")]
        for words in (["authority", "岳阳楼区医疗保障局"], ["pages", "wall.example.cn"]):
            subprocess.run([*certificates, *words], check=True, capture_output=True)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
        ).stdout
        (place / "htpasswd").write_text(f"wangmin:{hashed}", encoding="utf-8")
        (place / "htpasswd").chmod(0o644)
        # The worker that asks for passwords is nobody.
        enterable(place)
        text = (FIRMWARE / "nginx.conf").read_text(encoding="utf-8")
        for shipped, here in {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "/etc/appliance/tls/": f"{place}/authority/out/pages/",
            "/etc/nginx/appliance.htpasswd": f"{place}/htpasswd",
            "http://127.0.0.1:8090;": f"http://127.0.0.1:{pages};",
        }.items():
            assert shipped in text
            text = text.replace(shipped, here)
        self.text = text
        self.trust = ssl.create_default_context(cafile=str(place / "authority/out/pages/ca.crt"))

    def link(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, timeout=10, context=self.trust)

    def look(self, address: str, **headers: str) -> http.client.HTTPResponse:
        """The answer to a viewer from an address."""
        link = http.client.HTTPSConnection(
            "localhost", self.port, timeout=10, context=self.trust, source_address=(address, 0)
        )
        link.request("GET", "/events", headers={"Authorization": signed(PASSWORD), **headers})
        return link.getresponse()

    def ask(self, path: str, **headers: str) -> int:
        link = self.link()
        link.request("GET", path, headers=headers)
        status = link.getresponse().status
        link.close()
        return status


def signed(password: str) -> str:
    return "Basic " + base64.b64encode(f"wangmin:{password}".encode()).decode()


def test_the_shipped_proxy_asks_who_it_is_and_shows_the_wall_live(
    tmp_path: Path, broker: Broker, county: County
) -> None:
    site = Site(tmp_path, county.server.port)
    window = AWindow(broker.port, "430602-0107-1", "3f9c1a7e")
    with nginx(tmp_path, site.text, site.port):
        for path in ("/", "/events", "/wall.json", "/healthz", "/static/shared/live.js"):
            assert site.ask(path) == 401
            assert site.ask(path, Authorization=signed("falsch")) == 401
        for path in ("/", "/wall.json", "/healthz", "/static/shared/live.js"):
            assert site.ask(path, Authorization=signed(PASSWORD)) == 200
        answer = heard_live(site.link(), window, Authorization=signed(PASSWORD))
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_behind_the_shipped_proxy_each_address_is_a_client_of_its_own(
    tmp_path: Path, broker: Broker, county: County
) -> None:
    """The server sees one peer, the proxy; whom a browser itself names as the sender counts for nothing."""
    site = Site(tmp_path, county.server.port)
    with nginx(tmp_path, site.text, site.port):
        greedy = [site.look("127.0.0.2", **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(32)]
        assert [answer.status for answer in greedy] == [200] * 32
        assert site.look("127.0.0.2").status == 503
        assert site.look("127.0.0.1").status == 200


def test_the_proxy_s_port_and_certificate_are_those_of_the_settings() -> None:
    text = (FIRMWARE / "nginx.conf").read_text(encoding="utf-8")
    settings = (FIRMWARE.parent / "county.toml").read_text(encoding="utf-8")
    (port,) = set(re.findall(r"proxy_pass http://127\.0\.0\.1:(\d+);", text))
    assert "\n[office]\n" in settings
    assert f"\nport = {port}\n" in settings.split("[office]")[1]
