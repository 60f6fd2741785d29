"""Idle time-out of workers. A file of its own because it takes two minutes; the runner starts it first."""
import time

import pytest

from harness import Pool, Site, read_events, wait_until
from harness.server import is_running
from test_supervisor import ask


def state_of(pid):
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]


@pytest.fixture(scope="module")
def suspending(module_servers):
    """Becomes idle while the other test waits."""
    model = '<processModel idleTimeout="00:01:00" idleTimeoutAction="Suspend" pingInterval="00:00:05" ' \
            'pingResponseTime="00:00:05" />'
    server = module_servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=model)],
                                  files={"inetpub/wwwroot/a.txt": "a", "inetpub/wwwroot/b.txt": "b"})
    assert server.get("/a.txt").status == 200
    return server


def test_idle_time_ends_a_worker_and_the_next_request_starts_one(servers, suspending):
    """idleTimeout counts in whole minutes: one minute is the shortest there is."""
    model = '<processModel idleTimeout="00:01:00" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=model)], files={"inetpub/wwwroot/a.txt": "a"})
    assert server.find("worker") == []
    started = time.monotonic()            # before the request: it cannot have been idle since earlier
    assert server.get("/a.txt").status == 200
    pid = server.find("worker")[0]
    server.wait_event("5186", limit=240)
    assert time.monotonic() - started > 55
    wait_until(lambda: not is_running(pid), "the idle worker ends")
    assert server.get("/a.txt").status == 200


def test_suspended_worker_wakes_for_a_request(suspending):
    """It keeps its process: stopped while nobody asks, in time for who does, also for an order of the supervisor."""
    server = suspending
    event = server.wait_event("'id': 1030", limit=240)
    pid = server.find("worker")[0]
    assert str(pid) in str(event)
    wait_until(lambda: state_of(pid) == "T", "it stands still")
    for path in ("/a.txt", "/b.txt"):
        assert server.get(path).body == path[1].encode()
    assert server.find("worker") == [pid] and state_of(pid) != "T"
    time.sleep(12)                        # pings have begun again, and it answers them
    assert server.find("worker") == [pid] and "5010" not in str(read_events(server.drive))


def test_suspended_worker_can_be_recycled_and_stopped(suspending):
    server = suspending
    count = len([e for e in read_events(server.drive) if e.get("id") == 1030])
    wait_until(lambda: len([e for e in read_events(server.drive) if e.get("id") == 1030]) > count,
               "it is suspended again", limit=240, pause=0.2)
    pid = server.find("worker")[0]
    wait_until(lambda: state_of(pid) == "T", "it stands still")
    assert ask(server, verb="status")["pools"][0]["workers"][0]["suspended"] is True
    assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
    wait_until(lambda: not is_running(pid), "the old worker ends")
    assert server.get("/a.txt").status == 200
