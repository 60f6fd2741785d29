"""Idle time-out of workers. A file of its own because it takes two minutes; the runner starts it first."""
import time

from harness import Pool, Site, wait_until
from harness.server import is_running


def test_idle_time_ends_a_worker_and_the_next_request_starts_one(servers):
    """idleTimeout counts in whole minutes: one minute is the shortest there is."""
    model = '<processModel idleTimeout="00:01:00" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=model)], files={"inetpub/wwwroot/a.txt": "a"})
    assert server.find("worker") == []
    assert server.get("/a.txt").status == 200
    pid = server.find("worker")[0]
    started = time.monotonic()
    server.wait_event("5186", limit=150)
    assert time.monotonic() - started > 55
    wait_until(lambda: not is_running(pid), "the idle worker ends")
    assert server.get("/a.txt").status == 200
