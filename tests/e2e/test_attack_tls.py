"""Floods below and above TLS: handshakes, new keys, and everything that costs HTTP/2 servers dearly.

Each asserts the same: the server lives, memory and descriptors are bounded, and a normal client beside the
attack gets all its answers. Those whose frames have no purpose must also be ended by a GOAWAY.
"""
import pytest

from harness import attack
from harness.server import free_port

FILES = {"inetpub/wwwroot/a.txt": "a" * 1000, "inetpub/wwwroot/default.htm": "d",
         "inetpub/wwwroot/large.bin": b"x" * 5_000_000}
# HTTPERR reasons by which abuse may be named.
ABUSE = ["Client_Reset", "Connection_Dropped", "Connection_Dropped_List_Full", "Timer_HeaderWait",
         "Timer_ConnectionIdle", "Timer_MinBytesPerSecond", "Timer_EntityBody", "BadRequest", "RequestLength",
         "FieldLength", "Header"]


@pytest.fixture(params=attack.binaries(), ids=attack.binary_name)
def server(request, servers):
    site = attack.TlsSite(tls_port=free_port())
    server = servers.sites(site, files=FILES, binary=request.param)
    server.tolerate(*ABUSE)
    server.tls_port = site.tls_port
    attack.warm_up(server)
    return server


def under(server, mode, count, kib, longest=10):
    """Runs a flood beside a normal client and judges the server; the flood's figures."""
    with attack.tls(mode, server.tls_port, 200 if mode != "keyupdates" else 5) as first:
        first.numbers()                   # buffers have their working size
    growth = attack.Growth(server)
    with attack.Meanwhile(server) as meanwhile, attack.tls(mode, server.tls_port, count) as flood:
        figures = flood.numbers()
    print(mode, figures)
    meanwhile.check(longest)
    growth.check(kib)
    assert server.get("/a.txt").status == 200
    return figures


def test_handshake_flood(server):
    """Clients that make the server sign and then leave, or stall in the middle of the handshake."""
    assert under(server, "handshakes", attack.amount(3000, 100_000), 16384) == [attack.amount(3000, 100_000)]


def test_client_renegotiation(server):
    """TLS 1.2 clients cannot have handshake after handshake on one connection."""
    count = 50
    asked, done, _ = under(server, "renegotiate", count, 4096)
    assert done <= 2, f"{done} of {asked} renegotiations were granted"


def test_key_update_flood(server):
    """TLS 1.3 knows no renegotiation; its new keys are cheap, but must not add up either."""
    count = attack.amount(20_000, 1_000_000)
    asked, closed = under(server, "keyupdates", count, 4096)
    assert closed and asked < count, f"{asked} new keys were granted"


@pytest.mark.parametrize("mode", ["reset", "ping", "settings", "priority", "window-update", "empty-data"])
def test_frames_without_a_purpose(server, mode):
    """A flood is ended by GOAWAY with ENHANCE_YOUR_CALM (11; data without a declared length is an error of its
    own). What was sent before that fits into socket buffers."""
    count = attack.amount(20_000 if mode == "reset" else 100_000, 1_000_000)
    sent, connections, goaways, error = under(server, mode, count, 16384)
    assert sent >= count
    assert goaways and error in (11, 1 if mode == "empty-data" else 11), \
        f"{sent} frames over {connections} connections: {goaways} GOAWAYs, error {error}"


def test_header_block_without_end(server):
    """CONTINUATION frames are counted against the limits of a request head. (A few thousand fit into socket
    buffers, so the client has sent many more than were taken.)"""
    sent, connections, goaways, error = under(server, "continuation", attack.amount(20_000, 1_000_000), 16384)
    assert connections > 2 and goaways and error == 11, f"{sent} frames were taken on {connections} connections: " \
                                                       f"{goaways} GOAWAYs, error {error}"


def test_tiny_windows(server):
    """Requests for a large file that grant one byte each: little is held for them."""
    under(server, "windows", attack.amount(1000, 20_000), attack.amount(32768, 131072))
