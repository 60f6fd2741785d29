"""EnableAggressiveMemoryUsage: what happens when memory is short. The machine's figure is ours to write: the
server runs where another file lies over /proc/meminfo."""
import os
import pathlib
import socket
import time

import pytest

from harness import Site, read_httperr, wait_until
from test_routing import wrap

pytestmark = pytest.mark.root

FILES = {"inetpub/wwwroot/a.txt": "a"}

STARTER = """#!/usr/bin/python3
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x00020000) == 0                                   # CLONE_NEWNS
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0             # MS_REC | MS_PRIVATE
assert libc.mount({meminfo!r}, b"/proc/meminfo", None, 0x1000, None) == 0     # MS_BIND
os.execv({binary!r}, sys.argv)
"""


def set_available(server, kb):
    """In place: the server keeps the file open."""
    with open(server.meminfo, "r+b", buffering=0) as f:
        f.write(b"MemTotal: 16777216 kB\nMemAvailable: %9d kB\n" % kb)


@pytest.fixture
def guarded(servers):
    def make(**more):
        server = servers.sites(Site(), files=FILES, start=False, **more)
        server.meminfo = pathlib.Path(server.drive) / "meminfo"
        server.meminfo.write_bytes(b"")
        server.meminfo.chmod(0o644)
        set_available(server, 100 * 1024)
        wrap(server, STARTER, meminfo=os.fsencode(server.meminfo))
        server.tolerate("Connections_Refused")
        server.tolerate_events("1032", "1033")
        return server.start()
    return make


def is_closed_at_once(server):
    with socket.create_connection(server.address(), 10) as conn:
        conn.settimeout(10)
        try:
            conn.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
            return conn.recv(100) == b""
        except ConnectionError:
            return True


def test_short_memory_and_back(guarded):
    server = guarded()
    with server.connect() as kept:
        kept.send(b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.read().body == b"a"
        set_available(server, 19 * 1024)
        wait_until(lambda: is_closed_at_once(server), "refused")
        event = server.wait_event("1032")
        assert event["level"] == "error" and "no more connections" in event["text"]
        kept.send(b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.read().body == b"a", "who is in stays in"
    row = wait_until(lambda: [r for r in read_httperr(server.drive) if r["s-reason"] == "Connections_Refused"],
                     "a line")[0]
    assert (row["cs-method"], row["cs-uri"], row["sc-status"], row["s-siteid"]) == ("-", "-", "-", "-")
    assert row["c-ip"] == "127.0.0.1" and row["s-port"] == str(server.port)
    set_available(server, 24 * 1024)                  # above the floor, but not by a quarter
    time.sleep(0.3)
    assert is_closed_at_once(server)
    set_available(server, 64 * 1024)
    wait_until(lambda: not is_closed_at_once(server), "taken again")
    server.wait_event("1033")
    assert server.get("/a.txt").body == b"a"


def test_aggressive(guarded):
    server = guarded(reg={"EnableAggressiveMemoryUsage": 1})
    set_available(server, 9 * 1024)
    time.sleep(1.3)
    assert server.get("/a.txt").body == b"a"
    set_available(server, 7 * 1024)
    wait_until(lambda: is_closed_at_once(server), "refused")
