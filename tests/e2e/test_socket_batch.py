"""Many connections in one turn of the listener: their requests and answers travel in one system call each, through
io_uring where the kernel grants it, and one by one where it does not. Clients must not see a difference.

The listener is suspended while clients send, so that it finds all of it at once.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import signal

import pytest

from harness import Site, wait_until
from harness.client import build
from test_metrics import scrape, value

MANY = 40
PAGE = "p" * 1500
NO_CACHE = '<configuration><system.webServer><caching enableKernelCache="false" /></system.webServer></configuration>'
FILES = {"inetpub/wwwroot/a.txt": PAGE, "inetpub/wwwroot/nc/a.txt": PAGE, "inetpub/wwwroot/nc/web.config": NO_CACHE}
KINDS = {"ring": {}, "call by call": {"CANDOR_NO_IO_URING": "1"}}


@pytest.fixture(scope="module", params=KINDS, ids=list(KINDS))
def server(request, module_servers):
    server = module_servers.sites(Site(), files=FILES, environment=KINDS[request.param],
                                  arguments=("--threads", "1", "--metrics", "0"))
    server.kind = request.param
    return server


def rings(server):
    pid = wait_until(lambda: server.find("listener"), "a listener")[0]
    links = [os.readlink(link) for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    return links.count("anon_inode:[io_uring]")


@contextlib.contextmanager
def suspended(server):
    pid = wait_until(lambda: server.find("listener"), "a listener")[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T",
               "the listener stops")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def crowd(server, n=MANY, **more):
    """n connections that have had an answer each."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(server.connect(**more)) for _ in range(n)]
        for conn in conns:
            conn.send(build("GET", "/a.txt"))
            assert conn.read().status == 200
        yield conns


def can_have_rings():
    """io_uring_setup, with what the listener asks for: disabled at first, all submitted."""
    parameters = (ctypes.c_uint32 * 30)(0, 0, 1 << 6 | 1 << 7)
    fd = ctypes.CDLL(None).syscall(425, 1, parameters)
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def test_there_is_a_ring_per_thread_or_none(server):
    if server.kind == "ring" and not can_have_rings():
        pytest.skip("no io_uring here")
    assert rings(server) == (1 if server.kind == "ring" else 0)


@pytest.mark.parametrize("target", ["/a.txt", "/nc/a.txt"])
def test_burst(server, target):
    """Every connection gets its own answer, and every answer its line."""
    with crowd(server) as conns:
        for turn in range(5):
            with suspended(server):
                for i, conn in enumerate(conns):
                    conn.send(build("GET", f"{target}?{turn}-{i}" if target != "/a.txt" else target,
                                    [("User-Agent", f"burst{turn}-{i}{target}")]))
            answers = [conn.read() for conn in conns]
            assert {(a.status, a.text) for a in answers} == {(200, PAGE)}
            lines = server.w3c(wait=lambda r: r["cs(User-Agent)"] == f"burst{turn}-{MANY - 1}{target}")
            assert len(lines) == 1
    wanted = sorted(f"burst{turn}-{i}{target}" for turn in range(5) for i in range(MANY))

    def logged():
        return [r for r in server.w3c() if re.fullmatch(r"burst\d+-\d+" + re.escape(target), r["cs(User-Agent)"])]
    wait_until(lambda: len(logged()) >= len(wanted), "all lines")
    lines = logged()
    assert sorted(r["cs(User-Agent)"] for r in lines) == wanted
    assert {(r["sc-status"], r["sc-win32-status"]) for r in lines} == {("200", "0")}


def test_burst_of_different_requests(server):
    """Kept and closed, whole and in pieces, pipelined and half-closed, known and unknown, all at once."""
    with crowd(server, 28) as conns:
        get, missing = build("GET", "/a.txt"), build("GET", "/none.txt")
        close = build("GET", "/a.txt", [("Connection", "close")])
        with suspended(server):
            for i, conn in enumerate(conns):
                what = i % 7
                conn.send({0: get, 1: close, 2: get * 3, 3: get[:20], 4: missing, 5: get, 6: get + missing}[what])
                if what == 5:
                    conn.half_close()
        for i, conn in enumerate(conns):
            what = i % 7
            if what == 3:
                conn.send(get[20:])
            statuses = [conn.read().status for _ in range({2: 3, 6: 2}.get(what, 1))]
            assert statuses == {2: [200] * 3, 4: [404], 6: [200, 404]}.get(what, [200])
            if what in (1, 5):
                assert conn.ended()
            else:
                conn.send(get)
                assert conn.read().text == PAGE


def test_clients_that_do_not_read(server):
    """Answers that find the socket full, in part or altogether, wait and arrive whole and in their order."""
    turns = 60
    with crowd(server, 20, receive_buffer=4096) as conns:
        for turn in range(turns):
            with suspended(server):
                for conn in conns:
                    conn.send(build("GET", "/a.txt", [("User-Agent", "slow")]))
        for conn in conns:
            for turn in range(turns):
                answer = conn.read()
                assert (answer.status, answer.text) == (200, PAGE)
    lines = wait_until(lambda: [r for r in server.w3c() if r["cs(User-Agent)"] == "slow"][turns * 20 - 1:], "all lines")
    assert len(lines) == 1


def test_clients_that_go_at_once(server):
    """Connections that end by a reset or an end before their answer: the others have theirs."""
    with crowd(server, 30) as conns:
        with suspended(server):
            for i, conn in enumerate(conns):
                conn.send(build("GET", "/a.txt"))
                if i % 3 == 1:
                    conn.reset()
                elif i % 3 == 2:
                    conn.close()
        for conn in conns[::3]:
            assert conn.read().text == PAGE
            conn.send(build("GET", "/a.txt"))
            assert conn.read().text == PAGE
    wait_until(lambda: value(scrape(server), "candor_connections") <= 1, "the connections are gone")


def test_more_than_a_batch_holds(server):
    with crowd(server, 600) as conns:
        for _ in range(2):
            with suspended(server):
                for conn in conns:
                    conn.send(build("GET", "/a.txt"))
            for conn in conns:
                assert conn.read().text == PAGE
