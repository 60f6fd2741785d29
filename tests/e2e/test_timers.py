"""The listener's clocks: each ends the connection without an answer and leaves its HTTPERR line."""
import time

import pytest

from harness import Site
from harness.client import build
from harness.http2 import Client
from harness.stopwatch import Stopwatch

LATE = 6                                  # how long after its time a timer may still fire here
PATIENCE = 60


@pytest.fixture(scope="module")
def server(module_servers):
    site = Site(inner='<limits connectionTimeout="00:00:02" />')
    return module_servers.sites(
        site, web_limits='connectionTimeout="00:00:02" headerWaitTimeout="00:00:02" minBytesPerSecond="5000000"',
        reg={"EnableHttp2Cleartext": 1},
        files={"inetpub/wwwroot/a.txt": "a", "inetpub/wwwroot/big.bin": b"0123456789" * 2_000_000})


def ends(conn, watch, after):
    """The connection ends without a byte, not before its time and not long after it."""
    assert conn.ended(within=PATIENCE), f"still open, or answered: {conn.pending!r}"
    judge(watch, after)


def judge(watch, after):
    early, late = watch.wall, watch.seconds
    assert after - 0.3 <= early, f"ended after {early:.2f} s already"
    assert late <= after + LATE, f"ended after {late:.2f} s only"


def test_nothing_sent(server):
    server.expect("Timer_ConnectionIdle")
    with server.connect() as conn:
        ends(conn, Stopwatch(server), 2)
        line = server.httperr_for(conn.port)
    assert line["s-reason"] == "Timer_ConnectionIdle"
    assert [line[k] for k in ("cs-version", "cs-method", "cs-uri", "sc-status")] == ["-"] * 4


def test_idle_after_an_answer(server):
    server.expect("Timer_ConnectionIdle")
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a"
        ends(conn, Stopwatch(server), 2)
        assert server.httperr_for(conn.port)["s-reason"] == "Timer_ConnectionIdle"


def test_each_answer_starts_the_idle_clock_again(server):
    server.expect("Timer_ConnectionIdle")
    started = time.monotonic()
    with server.connect() as conn:
        while time.monotonic() - started < 4:
            conn.send(build("GET", "/a.txt"))
            assert conn.read().body == b"a"
            conn.sock.settimeout(0.5)
            try:
                assert conn.sock.recv(1) != b"", "closed although it was in use"
            except TimeoutError:
                pass                      # half a second of silence: what this test waits for
            conn.sock.settimeout(PATIENCE)
        ends(conn, Stopwatch(server), 0.5)
        server.httperr_for(conn.port)


def test_each_answer_starts_the_idle_clock_again_over_http2(server):
    """Also one that is answered from the cache at once."""
    server.expect("Timer_ConnectionIdle")
    with server.connect() as conn:
        client = Client(conn.sock)
        started = time.monotonic()
        while time.monotonic() - started < 4:
            assert client.read(client.ask(target="/a.txt")).body == b"a"
            time.sleep(0.5)               # silence: what this test waits for
        watch = Stopwatch(server)
        conn.sock.settimeout(PATIENCE)
        while conn.sock.recv(65536):
            pass
        judge(watch, 1.5)
        server.httperr_for(conn.port)


@pytest.mark.parametrize("data", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: w"])
def test_head_that_never_ends(server, data):
    server.expect("Timer_HeaderWait")
    with server.connect() as conn:
        conn.send(data)
        ends(conn, Stopwatch(server), 2)
        assert server.httperr_for(conn.port)["s-reason"] == "Timer_HeaderWait"


def test_slow_head_is_not_saved_by_single_bytes(server):
    """The clock runs from the first byte to the end of the head, whatever trickles in."""
    server.expect("Timer_HeaderWait")
    watch = Stopwatch(server)
    with server.connect() as conn:
        conn.send(b"GET / HTTP/1.1\r\nX: ")
        conn.sock.settimeout(0.3)
        ended = False
        while not ended and watch.wall < PATIENCE:
            try:
                conn.sock.sendall(b"y")
                ended = conn.sock.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended
        judge(watch, 2)
        server.httperr_for(conn.port)


@pytest.mark.parametrize("head,data", [
    ({"Content-Length": "10"}, b"abc"), ({"Content-Length": "10"}, b""),
    ({"Transfer-Encoding": "chunked"}, b"5\r\nab"),
])
def test_body_that_never_ends(server, head, data):
    server.expect("Timer_EntityBody")
    with server.connect() as conn:
        watch = Stopwatch(server)
        conn.send(build("POST", "/a.txt", head) + data)
        try:
            raw = conn.read_to_end()      # 405 may come before the body is missed
        except ConnectionResetError:
            raw = conn.pending
        assert raw == b"" or raw.startswith(b"HTTP/1.1 405 ")
        judge(watch, 2)
        line = server.httperr_for(conn.port)
    assert line["s-reason"] == "Timer_EntityBody"


def test_client_that_reads_nothing(server):
    """20 MB at 5 MB/s are four seconds; only then the rate is judged."""
    server.expect("Timer_MinBytesPerSecond")
    with server.connect(receive_buffer=4096) as conn:
        watch = Stopwatch(server)
        conn.send(build("GET", "/big.bin"))
        line = server.httperr_for(conn.port)
        early, late = watch.wall, watch.seconds
        assert early >= 3.7 and late < 4 + LATE + 4
        assert line["s-reason"] == "Timer_MinBytesPerSecond"
        try:
            assert len(conn.read_to_end()) < 20_000_000
        except ConnectionResetError:
            pass


def test_client_that_reads_is_left_alone(server):
    with server.connect() as conn:
        conn.send(build("GET", "/big.bin"))
        assert len(conn.read().body) == 20_000_000


