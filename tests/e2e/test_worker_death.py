"""Workers die: what they held is lost as documented, everything else is served by the successor."""
import os
import signal
import threading

import pytest

from harness import Pool, Site, wait_until
from harness.apphost import MODULES
from harness.client import build
from harness.server import is_running, read_httperr
from test_queue import crash, server_events, stopped_worker

FILES = {"inetpub/wwwroot/a.txt": "a" * 1000, "inetpub/wwwroot/big.bin": b"x" * 30_000_000}
SURVIVES = [Pool("DefaultAppPool", inner='<failure rapidFailProtection="false" />')]


@pytest.fixture
def server(servers):
    # Each request is for a worker: none may be answered from the cache.
    server = servers.sites(Site(), pools=SURVIVES, files=FILES,
                           modules=[m for m in MODULES if m != "HttpCacheModule"])
    server.tolerate_events("5009")
    assert server.get("/a.txt").status == 200
    return server


def test_idle_worker_is_replaced(server):
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().status == 200
        pid = crash(server)
        event = server.wait_event("5009")
        assert str(pid) in str(event) and "DefaultAppPool" in str(event)
        conn.send(build("GET", "/a.txt"))
        assert conn.read().status == 200
    assert server.find("worker") not in ([], [pid])


def test_killed_under_load(server):
    """Clients that ask all the time see resets only for what a dying worker held."""
    stop = threading.Event()
    lock = threading.Lock()
    served, lost, wrong = [0], [], []

    def client():
        while not stop.is_set():
            conn = server.connect()
            try:
                while not stop.is_set():
                    conn.send(build("GET", "/a.txt"))
                    answer = conn.read()
                    with lock:
                        if answer.status == 200 and len(answer.body) == 1000:
                            served[0] += 1
                        else:
                            wrong.append(answer)
            except (OSError, AssertionError):
                with lock:
                    lost.append(conn.port)
            finally:
                conn.close()

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for _ in range(5):
        before = served[0]
        wait_until(lambda: served[0] > before + 50, "requests are served")
        crash(server)
    before = served[0]
    wait_until(lambda: served[0] > before + 50, "requests are served after the last crash")
    stop.set()
    for thread in clients:
        thread.join(20)
    assert not wrong, wrong[:3]

    def abandoned():
        return [int(r["c-port"]) for r in read_httperr(server.drive)
                if r["s-reason"] == "Connection_Abandoned_By_ReqQueue"]
    wait_until(lambda: sorted(abandoned()) == sorted(lost), lambda: f"lost {lost}, abandoned {abandoned()}")
    server.expect("Connection_Abandoned_By_ReqQueue", len(lost))
    assert len(server_events(server, "5009")) == 5


def test_request_in_the_hands_of_the_worker(servers):
    """An answer that the worker is still writing is cut; the line names the request and its pool."""
    names = {f"inetpub/wwwroot/long/{i:05}{'n' * 180}.txt": "" for i in range(8000)}
    server = servers.sites(Site(), pools=SURVIVES, files=names,
                           locations='<location path="Default Web Site/long"><system.webServer>'
                                     '<directoryBrowse enabled="true" /></system.webServer></location>')
    server.tolerate_events("5009")
    with server.connect(receive_buffer=4096) as conn:
        conn.send(build("GET", "/long/"))
        conn.read_head()
        crash(server)
        line = server.httperr_for(conn.port)
        assert (line["s-reason"], line["cs-uri"], line["s-siteid"], line["s-queuename"], line["sc-status"]) == \
            ("Connection_Abandoned_By_ReqQueue", "/long/", "1", "DefaultAppPool", "-")
        try:
            rest = conn.read_to_end()
        except ConnectionResetError:
            rest = b""
        assert b"</html>" not in rest
    server.expect("Connection_Abandoned_By_ReqQueue")


def test_file_under_way_does_not_need_its_worker(server):
    """The listener holds the open file: the download goes on when the worker is gone."""
    with server.connect(receive_buffer=131072) as conn:
        conn.send(build("GET", "/big.bin"))
        conn.read_head()
        crash(server)
        try:
            received = len(conn.take(30_000_000))
        except (ConnectionResetError, AssertionError):
            received = 0
        if received < 30_000_000:         # or it is cut, and then the line says so
            assert server.httperr_for(conn.port)["s-reason"] == "Connection_Abandoned_By_ReqQueue"
            server.expect("Connection_Abandoned_By_ReqQueue")


def test_queued_requests_go_to_the_successor(server):
    """Requests the dead worker had not taken are answered by the next one."""
    with stopped_worker(server) as pid:
        conns = [server.connect() for _ in range(20)]
        for conn in conns:
            conn.send(build("GET", "/a.txt"))
        os.kill(pid, signal.SIGKILL)
    lost = 0
    for conn in conns:
        try:
            assert conn.read().status == 200
        except (ConnectionResetError, AssertionError):
            lost += 1
    assert lost == 0, f"{lost} of 20 were lost although the worker had not touched them"


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_other_deaths(server, how):
    server.expected_stderr.append("AddressSanitizer|UndefinedBehaviorSanitizer|DEADLYSIGNAL")
    pid = server.find("worker")[0]
    os.kill(pid, how)
    wait_until(lambda: not is_running(pid), "the worker ends")
    assert server.get("/a.txt").status == 200
    server.wait_event("5009")


def test_worker_that_does_not_answer_pings(servers):
    model = '<processModel pingInterval="00:00:01" pingResponseTime="00:00:02" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=model)], files=FILES)
    server.tolerate_events("5010")
    server.tolerate("Connection_Abandoned_By_ReqQueue")
    assert server.get("/a.txt").status == 200
    with stopped_worker(server) as pid:
        event = server.wait_event("5010")
        assert str(pid) in str(event)
        wait_until(lambda: not is_running(pid), "the silent worker is killed")
    assert server.get("/a.txt").status == 200


def test_listener_death_is_noticed(servers):
    """Without a listener there is no service: the supervisor starts another or ends with an error."""
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").status == 200
    pid = server.find("listener")[0]
    server.exit_code = None
    server.tolerate_events(".")
    os.kill(pid, signal.SIGKILL)

    def settled():
        if server.process.poll() is not None:
            return "ended"
        try:
            return "serves" if server.get("/a.txt").status == 200 else None
        except (OSError, AssertionError):
            return None
    assert wait_until(settled, "the supervisor acts") in ("ended", "serves")
    if server.process.poll() is not None:
        assert server.process.returncode != 0
