"""PROXY headers of a load balancer: whose they are believed to be, what they change, what is refused."""
import contextlib
import socket
import struct
import urllib.parse

import pytest

from harness import Site, read_w3c, wait_until
from harness.client import build
from harness.logs import read_events

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FILES = {"inetpub/wwwroot/a.txt": "a", "b/a.txt": "b"}
REQUEST = build("GET", "/a.txt", host="x")


def version2(command, family, payload=b""):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(payload)) + payload


def inet(source, port):
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.80") + struct.pack(">HH", port, 80)


def inet6(source, port):
    return (socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "2001:db8::80")
            + struct.pack(">HH", port, 80))


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(
        Site(binding_attributes='proxyProtocol="v1v2" proxyTrusted="192.0.2.0/24, 127.0.0.1"'),
        Site(name="other", id=2, folder="b", binding_attributes='proxyProtocol="v1v2" proxyTrusted="127.0.0.9"'),
        files=FILES)
    server.tolerate_events("1045")        # of headers that are refused
    return server


def client_of(server, stem):
    rows = wait_until(lambda: [r for r in read_w3c(server.drive, "1") if r["cs-uri-stem"] == stem], "a record")
    return rows[-1]["c-ip"]


TAKEN = [
    ("tcp4", b"PROXY TCP4 198.51.100.7 192.0.2.80 4711 80\r\n", "198.51.100.7"),
    ("tcp6", b"PROXY TCP6 2001:db8::7 2001:db8::80 4711 80\r\n", "2001:db8::7"),
    ("unknown", b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ("v2-inet", version2(1, 0x11, inet("198.51.100.8", 4712)), "198.51.100.8"),
    ("v2-inet6", version2(1, 0x21, inet6("2001:db8::8", 4712)), "2001:db8::8"),
    ("v2-extensions", version2(1, 0x11, inet("198.51.100.9", 4713) + b"\x03\0\x04crc!" + b"\x04\0\x03abc"),
     "198.51.100.9"),
    ("v2-large", version2(1, 0x11, inet("198.51.100.10", 4713) + b"\x04\xff\x00" + b"x" * 65280), "198.51.100.10"),
    ("v2-local", version2(0, 0), "127.0.0.1"),
    ("v2-unix", version2(1, 0x31, b"x" * 216), "127.0.0.1"),
]


@pytest.mark.parametrize("name,header,client", TAKEN, ids=[t[0] for t in TAKEN])
def test_client_of_the_header(server, name, header, client):
    """In one piece with the request; the log has the client, and the next request of the connection as well."""
    with server.connect() as conn:
        conn.send(header + build("GET", f"/{name}-1", host="x"))
        assert conn.read().status == 404
        conn.send(build("GET", f"/{name}-2", host="x"))
        assert conn.read().status == 404
    assert client_of(server, f"/{name}-1") == client
    assert client_of(server, f"/{name}-2") == client


@pytest.mark.parametrize("name,header,client", TAKEN[:6], ids=[t[0] for t in TAKEN[:6]])
def test_header_in_pieces(server, name, header, client):
    with server.connect() as conn:
        for byte in header:
            conn.send(bytes([byte]))
        conn.send(build("GET", f"/{name}-pieces", host="x"))
        assert conn.read().status == 404
    assert client_of(server, f"/{name}-pieces") == client


REFUSED = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY UNKNOWN " + b"x" * 200,
           SIGNATURE + b"\x31\x11\0\x0c" + inet("1.2.3.4", 1), version2(1, 0x11, b"short"), version2(2, 0x11)]


@pytest.mark.parametrize("data", REFUSED)
def test_trusted_source_without_a_good_header(server, data):
    """Closed without a word: it cannot be told whose request it is."""
    with server.connect() as conn:
        try:
            conn.send(data)
            assert conn.read_to_end() == b""
        except ConnectionError:
            pass


def test_balancer_without_headers_is_told(servers):
    """Nobody else would tell its administrator: the clients see a closed connection. One event a minute, for there
    are as many connections as clients; the counter has them all. A check that only knocks is no mistake."""
    server = servers.sites(Site(binding_attributes='proxyProtocol="v1v2" proxyTrusted="127.0.0.1"'), files=FILES,
                           arguments=["--metrics", "0"])
    server.tolerate_events("1045")
    where = urllib.parse.urlsplit(server.wait_line(r"^candor: metrics on (http://\S+)$")[1])

    def refused():
        with socket.create_connection((where.hostname, where.port), 10) as conn:
            conn.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
        return {line.split('"')[1]: int(line.split()[-1]) for line in text.splitlines()
                if line.startswith("candor_proxy_headers_total{")}
    server.connect().close()
    with server.connect() as conn:
        conn.send(TAKEN[0][1] + REQUEST)
        assert conn.read().status == 200
    assert refused() == {"taken": 1, "refused": 0}
    for data in REFUSED:
        with server.connect() as conn:
            with contextlib.suppress(ConnectionError):
                conn.send(data)
                assert conn.read_to_end() == b""
    assert refused() == {"taken": 1, "refused": len(REFUSED)}
    event = server.wait_event("1045")
    assert "127.0.0.1" in event["text"] and "does not begin with a PROXY header" in event["text"]
    assert len([e for e in read_events(server.drive) if e["id"] == 1045]) == 1


@pytest.mark.parametrize("data,cause", [(b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "malformed"),
                                        (b"PROXY TCP4 1.2.3.4 5.6.", "ended within")])
def test_cause_of_a_bad_header(servers, data, cause):
    server = servers.sites(Site(binding_attributes='proxyProtocol="v1v2" proxyTrusted="127.0.0.1"'), files=FILES)
    server.tolerate_events("1045")
    with server.connect() as conn:
        conn.send(data)
        with contextlib.suppress(OSError):        # it may be closed by now
            conn.sock.shutdown(socket.SHUT_WR)
            assert conn.read_to_end() == b""
    assert cause in server.wait_event("1045")["text"]


def test_source_that_is_not_trusted(server):
    """It is a client like any other, and its header a bad request."""
    with server.connect(site="other") as conn:
        conn.send(REQUEST)
        assert conn.read().body == b"b"
    server.expect("URL")                  # "TCP4" is none
    with server.connect(site="other") as conn:
        conn.send(b"PROXY TCP4 198.51.100.7 192.0.2.80 4711 80\r\n" + REQUEST)
        assert conn.read_to_end().startswith(b"HTTP/1.1 400 ")
        assert server.httperr_for(conn.port)["c-ip"] == "127.0.0.1"


def test_trusted_by_address(server):
    with server.connect(address=server.address("other"), source="127.0.0.9") as conn:
        conn.send(b"PROXY TCP4 198.51.100.7 192.0.2.80 4711 80\r\n" + REQUEST)
        assert conn.read().body == b"b"


def test_errors_name_the_client_of_the_header(server):
    server.expect("Verb")
    with server.connect() as conn:
        conn.send(b"PROXY TCP4 198.51.100.7 192.0.2.80 4799 80\r\nget / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.read_to_end().startswith(b"HTTP/1.1 400 ")
    row = server.httperr_for(4799)
    assert (row["c-ip"], row["s-reason"]) == ("198.51.100.7", "Verb")


def test_header_that_never_comes(servers):
    """It has the time of a request's head."""
    server = servers.sites(Site(binding_attributes='proxyProtocol="v1v2" proxyTrusted="127.0.0.1"'), files=FILES,
                           web_limits='headerWaitTimeout="00:00:02"')
    server.tolerate("Timer_HeaderWait", "Timer_ConnectionIdle")
    with server.connect() as conn:
        conn.send(b"PROXY TCP4 198.51.")
        assert conn.read_to_end() == b""


def test_nobody_trusted_is_said(servers):
    server = servers.sites(Site(binding_attributes='proxyProtocol="v1v2"'), files=FILES, start=False)
    server.tolerate_events("proxyTrusted")
    server.start()
    server.wait_event("without proxyTrusted no PROXY header is believed")
    assert server.get("/a.txt").body == b"a"
