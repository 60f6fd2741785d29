"""The header of a balancer (PROXY protocol): who is believed, and what becomes of the client's address."""
import socket
import struct

import pytest

from harness import Site, wait_until
from harness.client import build
from harness.server import free_port, read_w3c

FILES = {"inetpub/wwwroot/a.txt": "a"}
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def version2(command, family, addresses=b"", tlvs=b""):
    return V2 + bytes([0x20 | command, family]) + struct.pack("!H", len(addresses + tlvs)) + addresses + tlvs


V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, 80)
V6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
      + struct.pack("!HH", 4712, 80))


@pytest.fixture
def server(servers):
    port = free_port()
    site = Site(bindings=[f"127.0.0.1:{port}:"], port=port,
                binding_attributes='proxyProtocol="v1v2" proxyTrusted="127.0.0.1, 10.0.0.0/8"')
    return servers.sites(site, files=FILES)


def last_client(server):
    return wait_until(lambda: read_w3c(server.drive), "a log line")[-1]["c-ip"]


@pytest.mark.parametrize("header, client", [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (version2(1, 0x11, V4), "192.0.2.7"),
    (version2(1, 0x21, V6), "2001:db8::7"),
    (version2(1, 0x11, V4, b"\x04\x03\x00" + b"x" * 700), "192.0.2.7"),
    (version2(0, 0x00), "127.0.0.1"),
], ids=["v1-4", "v1-6", "v1-unknown", "v2-4", "v2-6", "v2-tlv", "v2-local"])
def test_the_client_is_whom_the_balancer_names(server, header, client):
    with server.connect() as conn:
        conn.send(header + build("GET", "/a.txt"))
        assert conn.read().status == 200
        conn.send(build("GET", "/a.txt"))                    # it counts for the whole connection
        assert conn.read().status == 200
    wait_until(lambda: len(read_w3c(server.drive)) == 2, "two lines")
    assert {row["c-ip"] for row in read_w3c(server.drive)} == {client}


def test_a_header_in_pieces(server):
    for pause in (None, 0.01):
        with server.connect() as conn:
            message = version2(1, 0x11, V4) + build("GET", "/a.txt")
            conn.send_pieces(message, range(1, len(V2) + 18))
            assert conn.read().status == 200
    assert last_client(server) == "192.0.2.7"


@pytest.mark.parametrize("wrong", [
    b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 999.0.2.7 198.51.100.1 1 2\r\n",
    version2(1, 0x11, V4[:6]),
    V2 + b"\x31\x11\0\x0c" + V4,
], ids=["none", "short", "address", "v2-short", "v2-version"])
def test_what_is_no_header_ends_the_connection(server, wrong):
    with server.connect() as conn:
        conn.send(wrong + build("GET", "/a.txt"))
        assert conn.ended() and conn.pending == b""          # without a word
    assert read_w3c(server.drive) == []


def test_others_are_not_believed(servers):
    """A client that is no trusted balancer speaks HTTP at once; its header is a bad request."""
    port = free_port()
    site = Site(bindings=[f"127.0.0.1:{port}:"], port=port,
                binding_attributes='proxyProtocol="v1v2" proxyTrusted="10.0.0.0/8"')
    server = servers.sites(site, files=FILES)
    assert server.get("/a.txt").status == 200
    assert last_client(server) == "127.0.0.1"
    with server.connect() as conn:
        conn.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n" + build("GET", "/a.txt"))
        assert conn.read().status == 400
    server.expect("URL")
