"""HTTP/1.0 and 1.1 as a client meets it: connection life, pipelining, bodies, Expect, half-close."""
import pytest

from harness import Site, reached
from harness.client import build

FILES = {"inetpub/wwwroot/a.txt": "aaa", "inetpub/wwwroot/b.txt": "bb", "inetpub/wwwroot/big.bin": b"0123456789" * 100_000,
         "inetpub/wwwroot/index.html": "home"}


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers.sites(Site(), files=FILES)


def test_keep_alive_is_the_default(server):
    with server.connect() as conn:
        for _ in range(50):
            conn.send(build("GET", "/a.txt"))
            answer = conn.read()
            assert answer.body == b"aaa" and answer.get("Connection") is None
        assert conn.is_open()


@pytest.mark.smoke
def test_pipelined_requests_are_answered_in_order(server):
    targets = [("/a.txt", b"aaa"), ("/b.txt", b"bb"), ("/big.bin", None), ("/none", None), ("/a.txt", b"aaa")] * 20
    with server.connect() as conn:
        conn.send(b"".join(build("GET", t, {"X-Number": str(i)}) for i, (t, _) in enumerate(targets)))
        for target, body in targets:
            answer = conn.read()
            if body is not None:
                assert answer.body == body, target
            else:
                assert answer.status == (404 if target == "/none" else 200)


def test_pipelined_listener_error_comes_last(server):
    server.expect("Verb")
    with server.connect() as conn:
        conn.send(build("GET", "/big.bin") + build("GET", "/none") + b"bad\r\n")
        assert len(conn.read().body) == 1_000_000
        assert conn.read().status == 404
        assert conn.read().status == 400
        assert conn.ended()


def test_connection_close(server):
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt", {"Connection": "close"}) + build("GET", "/b.txt"))
        answer = conn.read()
        assert answer.get("Connection") == "close" and answer.body == b"aaa"
        assert conn.ended()


@pytest.mark.parametrize("value", ["Close", "keep-alive, close", "foo,close"])
def test_connection_close_in_other_spellings(server, value):
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt", {"Connection": value}))
        assert conn.read().get("Connection") == "close"
        assert conn.ended()


def test_http10_closes(server):
    with server.connect() as conn:
        conn.send(b"GET /a.txt HTTP/1.0\r\n\r\n")
        answer = conn.read()
        assert answer.head.startswith(b"HTTP/1.1 200 ") and answer.get("Connection") == "close"
        assert conn.ended()


def test_http10_keep_alive(server):
    with server.connect() as conn:
        for _ in range(3):
            conn.send(b"GET /a.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = conn.read()
            assert answer.get("Connection", "").lower() == "keep-alive" and answer.body == b"aaa"


@pytest.mark.parametrize("pieces", [1, 7])
def test_request_in_tiny_pieces(server, pieces):
    request = build("GET", "/a.txt", {"X-Long": "y" * 100, "Accept": "*/*"})
    with server.connect() as conn:
        conn.send_pieces(request, range(pieces, len(request), pieces))
        assert conn.read().body == b"aaa"


def test_every_cut_of_two_requests(server):
    data = build("GET", "/a.txt") + build("GET", "/b.txt")
    for cut in range(1, len(data)):
        with server.connect() as conn:
            conn.send_pieces(data, [cut])
            assert (conn.read().body, conn.read().body) == (b"aaa", b"bb"), cut


def test_half_closed_client_gets_its_answers(server):
    with server.connect() as conn:
        conn.send(build("GET", "/big.bin") + build("GET", "/a.txt")).half_close()
        assert len(conn.read().body) == 1_000_000
        assert conn.read().body == b"aaa"
        assert conn.ended()


def test_half_close_in_mid_request(server):
    server.tolerate("BadRequest", "Client_Reset", "Connection_Dropped")
    with server.connect() as conn:
        conn.send(b"GET /a.txt HT").half_close()
        raw = conn.read_to_end()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 70_000, b"x" * 2_000_000])
def test_unread_body_is_drained(server, body):
    """The static handler refuses POST at once; the next request must still be found behind the body."""
    with server.connect() as conn:
        conn.send(build("POST", "/a.txt", body=body))
        assert conn.read().status == 405
        conn.send(build("GET", "/b.txt"))
        assert conn.read().body == b"bb"


def chunked(*chunks, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + last


@pytest.mark.parametrize("wire", [
    chunked(), chunked(b"abc"), chunked(b"a" * 100_000, b"b"), chunked(b"abc", last=b"0\r\nX-Trailer: y\r\n\r\n"),
    b"3;name=value\r\nabc\r\n0\r\n\r\n", b"003\r\nabc\r\n000\r\n\r\n", b"A\r\n0123456789\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\n\r\n",
])
def test_chunked_body_then_next_request(server, wire):
    with server.connect() as conn:
        conn.send(build("POST", "/a.txt", {"Transfer-Encoding": "chunked"}) + wire + build("GET", "/b.txt"))
        assert conn.read().status == 405
        assert conn.read().body == b"bb"


def test_chunked_body_cut_everywhere(server):
    wire = chunked(b"abc", b"defgh", last=b"0\r\nT: y\r\n\r\n")
    head = build("POST", "/a.txt", {"Transfer-Encoding": "chunked"})
    data = head + wire + build("GET", "/b.txt")
    for cut in range(len(head), len(head) + len(wire) + 1):
        with server.connect() as conn:
            conn.send_pieces(data, [cut])
            assert (conn.read().status, conn.read().body) == (405, b"bb"), cut


def test_expect_is_not_answered_when_nobody_reads(server):
    """The final answer comes without an interim one, and the connection stays usable or ends."""
    with server.connect() as conn:
        conn.send(build("POST", "/a.txt", {"Expect": "100-continue", "Content-Length": "5"}))
        answer = conn.read()
        assert answer.status in (100, 405)
        if answer.status == 100:
            reached.add({("iis", "100.0")})
            conn.send(b"hello")
            assert conn.read().status == 405


def test_expect_with_the_body_at_once(server):
    with server.connect() as conn:
        conn.send(build("POST", "/a.txt", {"Expect": "100-continue"}, body=b"hello") + build("GET", "/b.txt"))
        answer = conn.read()
        while answer.status == 100:
            answer = conn.read()
        assert answer.status == 405
        if answer.get("Connection") == "close":
            assert conn.ended()
        else:
            assert conn.read().body == b"bb"


def test_head_with_keep_alive(server):
    with server.connect() as conn:
        conn.send(build("HEAD", "/big.bin") + build("HEAD", "/none") + build("GET", "/a.txt"))
        assert conn.read("HEAD").get("Content-Length") == "1000000"
        assert conn.read("HEAD").status == 404
        assert conn.read().body == b"aaa"


def test_many_connections_at_once(server):
    conns = [server.connect() for _ in range(300)]
    for conn in conns:
        conn.send(build("GET", "/a.txt"))
    for conn in conns:
        assert conn.read().body == b"aaa"


def test_client_that_leaves_in_mid_answer(server):
    server.tolerate("Connection_Dropped", "Client_Reset")
    for _ in range(5):
        conn = server.connect(receive_buffer=4096)
        conn.send(build("GET", "/big.bin?left"))
        conn.read_head()
        conn.reset()
    records = server.w3c(wait=lambda r: r["cs-uri-query"] == "left")
    assert {r["sc-status"] for r in records} == {"200"}
    assert server.get("/a.txt").body == b"aaa"


@pytest.mark.ipv6
def test_ipv6(servers):
    server = servers(files={"index.html": "home"}, arguments=["--bind", "::1"])
    assert server.addresses[0][0] == "::1"
    assert server.get("/").body == b"home"
    assert server.w3c_for("/")["c-ip"] == "::1"


def test_keep_alive_switched_off(servers):
    server = servers(files={"a.txt": "a", "web.config": "<configuration><system.webServer>"
                            '<httpProtocol allowKeepAlive="false" /></system.webServer></configuration>'})
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().get("Connection") == "close"
        assert conn.ended()
