"""maxBandwidth of a site and maxGlobalBandwidth: real rates, fair between connections, small answers first."""
import threading
import time

import pytest

from harness import Site, wait_until
from harness.client import build
from harness.stopwatch import Stopwatch

LARGE = 300_000
FILES = {}
for _folder in ("one", "two"):
    FILES[f"{_folder}/large.txt"] = b"0123456789" * (LARGE // 10)
    FILES[f"{_folder}/page.txt"] = b"p" * 1000


def limits(text):
    return f"<limits {text} />"


def slow_sites(first, second=""):
    return (Site(name="one", id=1, folder="one", inner=first), Site(name="two", id=2, folder="two", inner=second))


class Download(threading.Thread):
    """Reads a whole answer; notes how many bytes had come at which time.

    seconds is the time that passed, late the part of it that is the server's own: a rate may not be higher in
    the first and not lower in the second.
    """

    def __init__(self, server, site, together=None, target="/large.txt"):
        super().__init__(daemon=True)
        self.server, self.target, self.conn = server, target, server.connect(site)
        self.together = together or threading.Barrier(1)      # those that begin at one moment
        self.trail, self.answer, self.seconds, self.late = [], None, None, None

    def run(self):
        self.together.wait()
        watch = Stopwatch(self.server)
        with self.conn as conn:
            conn.send(build("GET", self.target))
            head = conn.read_head()
            length, body = int(head.get("Content-Length")), b""
            while len(body) < length:
                body += conn.take(min(5000, length - len(body)))
                self.trail.append((time.monotonic(), len(body)))
        self.answer, self.seconds, self.late = body, watch.wall, watch.seconds
        self.began = watch.began

    def done_at(self, moment):
        return max((n for when, n in self.trail if when <= moment), default=0)


def download(server, *sites):
    together = threading.Barrier(len(sites))
    running = [Download(server, site, together) for site in sites]
    for one in running:
        one.start()
    for one in running:
        one.join(120)
        assert one.answer == FILES["one/large.txt"]
    return running


@pytest.mark.parametrize("through", ["worker", "cache"])
def test_site_limit(servers, through):
    sites = slow_sites(limits('maxBandwidth="200000"'))
    server = servers.sites(*sites, files=FILES)
    if through == "cache":
        for _ in range(4):                 # past the frequent-hit threshold
            server.request("HEAD", "/large.txt", site="one")
    [alone] = download(server, "one")
    assert 1.0 < alone.seconds and alone.late < 2.0       # 300 kB at 200 kB/s, of which a quarter of a second was saved up
    time.sleep(0.3)
    both = download(server, "one", "one")
    first, last = min(one.began for one in both), max(one.trail[-1][0] for one in both)
    assert 2.2 < last - first and max(one.late for one in both) < 3.6
    # As long as both were under way each had its share.
    begin, end = max(one.trail[0][0] for one in both), min(one.trail[-1][0] for one in both)
    half = [one.done_at((begin + end) / 2) - one.done_at(begin) for one in both]
    assert 0.6 < half[0] / half[1] < 1.7
    assert sum(one.done_at(first + 1.5) for one in both) < 400_000
    [other] = download(server, "two")   # has no limit
    assert other.late < 0.7


def test_global_limit(servers):
    sites = slow_sites(limits('maxBandwidth="50000"'))
    server = servers.sites(*sites, files=FILES, web_limits='maxGlobalBandwidth="200000"')
    narrow = Download(server, "one")
    narrow.start()
    time.sleep(0.2)
    [wide] = download(server, "two")
    # What the narrow one may not use of the server's rate, the other gets.
    assert 1.0 < wide.seconds and wide.late < 2.6
    narrow.join(120)
    assert narrow.answer == FILES["one/large.txt"] and 4.5 < narrow.seconds and narrow.late < 7.5
    assert narrow.done_at(narrow.began + 1.0) < 110_000


def test_small_answers_do_not_wait(servers):
    sites = slow_sites(limits('maxBandwidth="100000"'))
    server = servers.sites(*sites, files=FILES)
    large = Download(server, "one")
    large.start()
    wait_until(lambda: large.trail, "the download has begun")
    watch = Stopwatch(server)
    for _ in range(10):
        assert server.get("/page.txt", site="one").status == 200
    assert watch.seconds < 1.0
    large.join(120)
    assert large.answer == FILES["one/large.txt"] and large.seconds > 2.3


def test_slowness_is_not_the_clients(servers):
    """minBytesPerSecond is above the rate: nobody is cut off for the server's own limit."""
    sites = slow_sites(limits('maxBandwidth="100000" connectionTimeout="00:00:02"'))
    server = servers.sites(*sites, files=FILES, web_limits='minBytesPerSecond="200000"')
    [one] = download(server, "one")
    assert 2.3 < one.seconds and one.late < 4
    row = server.w3c_for("/large.txt")
    assert (row["sc-status"], row["sc-win32-status"]) == ("200", "0")


def test_those_who_leave_free_their_turn(servers):
    sites = slow_sites(limits('maxBandwidth="100000"'))
    server = servers.sites(*sites, files=FILES)
    for _ in range(10):
        with server.connect("one") as conn:
            conn.send(build("GET", "/large.txt"))
            conn.read_head()
            conn.reset()
    time.sleep(0.3)
    [one] = download(server, "one")
    assert one.late < 5.5                  # what had been sent to them is gone, not what they waited for


def test_pipelined_answers_keep_their_order_and_rate(servers):
    sites = slow_sites(limits('maxBandwidth="400000"'))
    server = servers.sites(*sites, files=FILES)
    watch = Stopwatch(server)
    with server.connect("one") as conn:
        conn.send(build("GET", "/large.txt") + build("GET", "/page.txt") + build("GET", "/large.txt"))
        assert [len(conn.read().body) for _ in range(3)] == [LARGE, 1000, LARGE]
    assert 1.1 < watch.wall and watch.seconds < 2.5
