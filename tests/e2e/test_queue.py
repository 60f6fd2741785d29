"""The pool's queue and the states in which a request never reaches a worker."""
import contextlib
import os
import re
import signal
import socket
import time

import pytest

from harness import Pool, Site, own_answer, wait_until
from harness.client import build
from harness.server import free_port, is_running, read_httperr, replace_file

FILES = {"inetpub/wwwroot/a.txt": "a"}


@contextlib.contextmanager
def stopped_worker(server):
    """Suspends the only worker, so that whatever is sent now stays with the listener."""
    pid = wait_until(lambda: server.find("worker"), "a worker")[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "T", "the worker stops")
    try:
        yield pid
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGCONT)


def reasons(server):
    return [row["s-reason"] for row in read_httperr(server.drive)]


def test_queue_full(servers):
    """More requests than queue and worker take: 503 at once for the rest, service for all others."""
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", 'queueLength="10"')], files=FILES)
    assert server.get("/a.txt").body == b"a"
    waiting, refused = [], []
    with stopped_worker(server):
        while len(waiting) < 3000 and len(refused) < 3:
            conn = server.connect()
            conn.send(build("GET", "/a.txt"))
            waiting.append(conn)
            if len(waiting) > 10:
                conn.sock.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    own_answer(conn.read_to_end(), "QueueFull")
                    refused.append(waiting.pop())
                conn.sock.settimeout(20)
        assert len(refused) == 3, f"{len(waiting)} requests were taken and none refused"
        line = server.httperr_for(refused[0].port)
        assert (line["sc-status"], line["s-siteid"], line["s-reason"], line["s-queuename"], line["cs-uri"]) == \
            ("503", "1", "QueueFull", "DefaultAppPool", "/a.txt")
    statuses = [conn.read().status for conn in waiting]      # a refusal may have come a little later
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 10
    server.expect("QueueFull", 3 + statuses.count(503))


def test_request_that_waits_too_long(servers):
    server = servers.sites(Site(inner='<limits connectionTimeout="00:00:02" />'), files=FILES,
                           web_limits='connectionTimeout="00:00:02"')
    assert server.get("/a.txt").body == b"a"
    with stopped_worker(server):
        with server.connect() as conn:
            started = time.monotonic()
            conn.send(build("GET", "/a.txt"))
            assert conn.ended(within=10), conn.pending
            assert time.monotonic() - started >= 1.7
            line = server.httperr_for(conn.port)
    assert (line["sc-status"], line["s-siteid"], line["s-reason"], line["s-queuename"], line["cs-uri"]) == \
        ("-", "1", "Timer_ReqQueue", "DefaultAppPool", "/a.txt")
    server.expect("Timer_ReqQueue")
    assert server.get("/a.txt").body == b"a"


def test_client_that_leaves_the_queue(servers):
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").body == b"a"
    with stopped_worker(server):
        conn = server.connect()
        conn.send(build("GET", "/a.txt"))
        port = conn.port
        server.wait_read(conn)
        conn.reset()
        line = server.httperr_for(port)
    assert line["s-reason"] == "Client_Reset" and line["s-queuename"] == "DefaultAppPool"
    server.expect("Client_Reset")
    assert server.get("/a.txt").body == b"a"


def test_connection_limit(servers):
    server = servers.sites(Site(inner='<limits maxConnections="1" />'), files=FILES)
    with server.connect() as first:
        first.send(build("GET", "/a.txt"))
        assert first.read().body == b"a"
        with server.connect() as second:
            second.send(build("GET", "/a.txt"))
            own_answer(second.read_to_end(), "ConnLimit")
            line = server.httperr_for(second.port)
        assert (line["sc-status"], line["s-siteid"], line["s-reason"]) == ("503", "1", "ConnLimit")
        first.send(build("GET", "/a.txt"))
        assert first.read().body == b"a"
    server.expect("ConnLimit")

    def served():
        answer = server.get("/a.txt")
        if answer.status == 503:
            server.expect("ConnLimit")
        return answer.status == 200
    wait_until(served, "the place of the closed connection is free again", pause=0.1)


def test_stopped_pool(servers):
    server = servers.sites(Site(), Site(name="b", id=2, folder="b", pool="Stopped"),
                           pools=[Pool("DefaultAppPool"), Pool("Stopped", 'autoStart="false"')], files=FILES)
    with server.connect("b") as conn:
        conn.send(build("GET", "/a.txt"))
        own_answer(conn.read_to_end(), "Disabled")
        line = server.httperr_for(conn.port)
    assert (line["sc-status"], line["s-siteid"], line["s-reason"], line["s-queuename"]) == \
        ("503", "2", "Disabled", "Stopped")
    server.expect("Disabled")
    assert server.get("/a.txt").body == b"a"
    assert len(server.find("worker")) == 1


def crash(server):
    """Kills the worker and waits until it is gone."""
    pid = wait_until(lambda: server.find("worker"), "a worker")[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid), "the worker ends")
    return pid


def test_rapid_fail_protection(servers):
    failure = '<failure rapidFailProtectionMaxCrashes="3" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=failure)], files=FILES)
    server.tolerate_events("5009", "5002")
    for turn in range(3):
        assert server.get("/a.txt").body == b"a"
        crash(server)
        wait_until(lambda: len([e for e in server_events(server, "5009")]) > turn, "event 5009")
    server.wait_event("5002")
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        own_answer(conn.read_to_end(), "AppOffline")
        line = server.httperr_for(conn.port)
    assert (line["sc-status"], line["s-reason"], line["s-queuename"]) == ("503", "AppOffline", "DefaultAppPool")
    server.expect("AppOffline")
    assert server.find("worker") == []


def server_events(server, pattern):
    from harness import read_events
    return [e for e in read_events(server.drive) if re.search(pattern, str(e))]


def test_load_balancer_sees_a_reset(servers):
    """TcpLevel: the connection is cut without an answer, the line is written all the same."""
    failure = '<failure loadBalancerCapabilities="TcpLevel" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", 'autoStart="false"', inner=failure)], files=FILES)
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        with pytest.raises(ConnectionResetError):
            conn.read_to_end()
        assert conn.pending == b""
        line = server.httperr_for(conn.port)
    assert (line["sc-status"], line["s-reason"]) == ("503", "Disabled")
    server.expect("Disabled")


def test_more_pools_than_workers_may_start(servers):
    """demandStartThreshold: the eleventh worker is not started."""
    count = 11
    sites = [Site(name=f"s{i}", id=i, folder=f"s{i}", pool=f"p{i}") for i in range(1, count + 1)]
    server = servers.sites(*sites, pools=[Pool("DefaultAppPool")] + [Pool(f"p{i}") for i in range(1, count + 1)],
                           files={f"s{i}/a.txt": str(i) for i in range(1, count + 1)},
                           web_limits='demandStartThreshold="10"')
    server.tolerate_events("1089|5022|demandStartThreshold|demand start")
    for i in range(1, count):
        assert server.get("/a.txt", site=f"s{i}").body == str(i).encode()
    with server.connect(f"s{count}") as conn:
        conn.send(build("GET", "/a.txt"))
        own_answer(conn.read_to_end(), "N/A")
        assert server.httperr_for(conn.port)["s-reason"] == "N/A"
    server.expect("N/A")


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except OSError:
        return True


def test_site_that_goes_while_its_request_waits(servers):
    """The worker, awake again, may hear of the new configuration before or after it takes the request:
    in the first case it does not know the request's site any more, 404.1."""
    port = free_port()
    gone = Site(name="gone", id=2, folder="gone", port=port)
    server = servers.sites(Site(), files={**FILES, "gone/a.txt": "gone"})
    server.tolerate("Hostname")
    assert server.get("/a.txt").body == b"a"
    codes = set()
    for _ in range(60):
        server.config.sites.append(gone)
        replace_file(server.config_path, server.config.render())
        wait_until(lambda: not refuses(port), "the site is there")
        with stopped_worker(server):
            conn = server.connect(address=("127.0.0.1", port))
            conn.send(build("GET", "/a.txt"))
            server.wait_read(conn)
            server.config.sites.remove(gone)
            replace_file(server.config_path, server.config.render())
            wait_until(lambda: refuses(port), "the site's port is closed")
        codes.add(conn.read().code)
        if "404.1" in codes:
            break
    assert "404.1" in codes and codes <= {"404.1", "200", "400"}


def test_concurrent_request_limit_of_the_worker(servers):
    """503.2 comes from the worker and is in the site log. A listing of megabytes that nobody reads keeps
    the first request running."""
    names = {f"inetpub/wwwroot/long/{i:05}{'n' * 180}.txt": "" for i in range(8000)}
    server = servers.sites(Site(), files={**FILES, **names}, unlocked=["serverRuntime"],
                           web_server='<serverRuntime appConcurrentRequestLimit="1" />',
                           locations='<location path="Default Web Site/long"><system.webServer>'
                                     '<directoryBrowse enabled="true" /></system.webServer></location>')
    server.tolerate("Connection_Dropped", "Client_Reset")
    with server.connect(receive_buffer=4096) as slow:
        slow.send(build("GET", "/long/"))
        slow.read_head()
        answer = server.get("/a.txt?second")
        assert answer.code == "503.2"
    assert server.w3c(wait=lambda r: r["cs-uri-query"] == "second")[-1]["sc-substatus"] == "2"
    wait_until(lambda: server.get("/a.txt").status == 200, "the place is free again")
