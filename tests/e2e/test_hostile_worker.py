"""A worker that has been taken over: it does with its descriptors what it likes, and nobody else suffers.

The tests take copies of a living worker's descriptors and do in its place what it might do.
"""
import array
import contextlib
import ctypes
import json
import os
import signal
import socket
import struct

import pytest

from harness import Pool, Site, wait_until
from harness.client import build
from harness.server import status_field

pytestmark = pytest.mark.root             # others may not look into the processes

FILES = {"inetpub/wwwroot/a.txt": "a", "b/a.txt": "b"}
PIDFD_GETFD = 438
CONTROL_FD = 3
libc = ctypes.CDLL(None, use_errno=True)


def descriptors_of(pid, kind):
    """Copies, with the same open file behind them, of what a process has of a kind."""
    handle = os.pidfd_open(pid)
    copies = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        if int(name) <= CONTROL_FD:
            continue                      # the standard ones are the test's own
        try:
            is_wanted = kind in os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        copy = libc.syscall(PIDFD_GETFD, handle, int(name), 0) if is_wanted else -1
        if copy >= 0:
            copies.append(copy)
    os.close(handle)
    return copies


@pytest.fixture
def server(servers):
    """Two pools on two threads each; both have a worker."""
    server = servers.sites(Site(), Site(name="other", id=2, folder="b", pool="Other"),
                           pools=[Pool("DefaultAppPool"), Pool("Other")], files=FILES, arguments=["--threads", "2"])
    for site in (None, "other"):
        assert server.get("/a.txt", site=site).status == 200
    return server


def take(pid, number):
    """A copy of one descriptor of a process."""
    handle = os.pidfd_open(pid)
    copy = libc.syscall(PIDFD_GETFD, handle, number, 0)
    os.close(handle)
    assert copy >= 0
    return copy


def worker_of(server, pool):
    return next(pid for pid in server.find("worker") if server.seen[pid].endswith(pool))


def fill(copy):
    """Makes it blocking for everybody who shares it, and full."""
    os.set_blocking(copy, False)
    try:
        os.read(copy, 8)
    except OSError:
        pass
    try:
        os.write(copy, struct.pack("=Q", 0xfffffffffffffffe))
    except OSError:
        pass
    os.set_blocking(copy, True)


def test_wake_up_calls_never_block_the_listener(server):
    pid = worker_of(server, "DefaultAppPool")
    os.kill(pid, signal.SIGSTOP)          # it takes nothing
    copies = descriptors_of(pid, "eventfd") + descriptors_of(pid, "pipe:")
    try:
        for copy in copies:
            fill(copy)
        waiting = [server.connect() for _ in range(8)]
        for conn in waiting:
            conn.send(build("GET", "/a.txt?waiting"))
            server.wait_read(conn)
        others = [server.connect(site="other") for _ in range(16)]
        for conn in others:               # on every thread of the listener
            conn.send(build("GET", "/a.txt"))
        for conn in others:
            assert conn.read().body == b"b"
    finally:
        for copy in copies:
            os.set_blocking(copy, False)
            os.close(copy)
        os.kill(pid, signal.SIGCONT)
    for conn in waiting:
        assert conn.read().body == b"a"


@contextlib.contextmanager
def control_of(pid):
    """Speaks to the supervisor as that worker."""
    with socket.socket(fileno=take(pid, CONTROL_FD)) as control:
        yield control


def send_in_memory(control, data):
    """What does not fit into a datagram travels in a memfd."""
    memory = os.memfd_create("message")
    with os.fdopen(memory, "wb") as out:
        out.write(data)
        out.flush()
        control.sendmsg([b"M"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])


def gone(pid):
    return not os.path.exists(f"/proc/{pid}/fd/0")


def test_huge_message_does_not_fill_the_supervisor(server):
    """Twenty megabytes of it are a gigabyte of JSON."""
    server.tolerate_events("5009", "5011")
    pid = worker_of(server, "DefaultAppPool")
    before = int(status_field(server.process.pid, "VmHWM").split()[0])
    with control_of(pid) as control:
        send_in_memory(control, b'{"type":"event","x":[' + b"0," * 10_000_000 + b"0]}")
        wait_until(lambda: gone(pid), "its worker is ended")
    assert int(status_field(server.process.pid, "VmHWM").split()[0]) < before + 20_000
    assert server.get("/a.txt").body == b"a" and server.get("/a.txt", site="other").body == b"b"


def test_flood_of_messages_ends_its_worker(server):
    server.tolerate_events("1014")
    pid = worker_of(server, "DefaultAppPool")
    message = b"J" + json.dumps({"type": "pong", "token": -1}).encode()
    with control_of(pid) as control:
        control.setblocking(True)

        def flood():
            with contextlib.suppress(OSError):
                for _ in range(100):
                    control.sendall(message)
            return gone(pid)
        wait_until(flood, "its worker is ended")
    assert "floods its control channel" in server.wait_event("1014")["text"]
    assert server.get("/a.txt").body == b"a" and server.get("/a.txt", site="other").body == b"b"


@pytest.mark.parametrize("message", [{"type": "requests"}, {"type": "idle", "idle_ms": 99999999}, {"type": "ready"}, {"type": "event", "code": 5002, "text": "x"},
                                     {"type": "event", "code": "CND-1019", "text": "The server stops"},
                                     {"type": "worker_drained", "worker": 1}, {"type": "demand", "pool": "Other"},
                                     {"type": 7}, {}])
def test_messages_that_are_not_its_own(server, message):
    """Nobody speaks for another: neither for the listener nor for the server, nor for a limit that is not set."""
    server.tolerate_events("W3SVC-WP")
    workers = server.find("worker")
    with control_of(worker_of(server, "DefaultAppPool")) as control:
        for _ in range(5):
            control.sendall(b"J" + json.dumps(message).encode())
        answered = [server.get("/a.txt").status for _ in range(5)]
    assert answered == [200] * 5
    assert server.find("worker") == workers
    text = (server.drive / "inetpub" / "logs" / "events.log").read_text()
    for line in map(json.loads, text.splitlines()):
        assert line["id"] not in (1019, 5074, 5075, 5186), line
        assert "W3SVC-WP" in line["source"] or line["id"] in (1004, 1018), line
