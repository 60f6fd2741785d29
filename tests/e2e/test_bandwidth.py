"""maxBandwidth of a site and maxGlobalBandwidth: real rates, fair between connections, small answers first."""
import threading
import time

import pytest

from harness import Site
from harness.client import build

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
    """Reads a whole answer; notes how many bytes had come at which time."""

    def __init__(self, server, site, target="/large.txt"):
        super().__init__(daemon=True)
        self.server, self.site, self.target = server, site, target
        self.trail, self.answer, self.seconds = [], None, None

    def run(self):
        begin = time.monotonic()
        with self.server.connect(self.site) as conn:
            conn.send(build("GET", self.target))
            head = conn.read_head()
            length, body = int(head.get("Content-Length")), b""
            while len(body) < length:
                body += conn.take(min(5000, length - len(body)))
                self.trail.append((time.monotonic() - begin, len(body)))
        self.answer, self.seconds = body, time.monotonic() - begin

    def done_at(self, seconds):
        return max((n for when, n in self.trail if when <= seconds), default=0)


def download(server, *sites):
    running = [Download(server, site) for site in sites]
    for one in running:
        one.start()
    for one in running:
        one.join(30)
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
    assert 1.0 < alone.seconds < 2.0       # 300 kB at 200 kB/s, of which a quarter of a second was saved up
    time.sleep(0.3)
    both = download(server, "one", "one")
    assert all(2.2 < one.seconds < 3.6 for one in both)
    half = both[0].done_at(1.5), both[1].done_at(1.5)
    assert 0.6 < half[0] / half[1] < 1.7 and sum(half) < 400_000
    [other] = download(server, "two")   # has no limit
    assert other.seconds < 0.7


def test_global_limit(servers):
    sites = slow_sites(limits('maxBandwidth="50000"'))
    server = servers.sites(*sites, files=FILES, web_limits='maxGlobalBandwidth="200000"')
    narrow = Download(server, "one")
    narrow.start()
    time.sleep(0.2)
    [wide] = download(server, "two")
    # What the narrow one may not use of the server's rate, the other gets.
    assert 1.0 < wide.seconds < 2.6
    assert narrow.done_at(1.0) < 110_000
    narrow.join(30)
    assert narrow.answer == FILES["one/large.txt"] and 4.5 < narrow.seconds < 7.5


def test_small_answers_do_not_wait(servers):
    sites = slow_sites(limits('maxBandwidth="100000"'))
    server = servers.sites(*sites, files=FILES)
    large = Download(server, "one")
    large.start()
    time.sleep(0.5)
    begin = time.monotonic()
    for _ in range(10):
        assert server.get("/page.txt", site="one").status == 200
    assert time.monotonic() - begin < 1.0
    large.join(30)
    assert large.answer == FILES["one/large.txt"] and large.seconds > 2.3


def test_slowness_is_not_the_clients(servers):
    """minBytesPerSecond is above the rate: nobody is cut off for the server's own limit."""
    sites = slow_sites(limits('maxBandwidth="100000" connectionTimeout="00:00:02"'))
    server = servers.sites(*sites, files=FILES, web_limits='minBytesPerSecond="200000"')
    [one] = download(server, "one")
    assert 2.3 < one.seconds < 4
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
    assert one.seconds < 5.5               # what had been sent to them is gone, not what they waited for


def test_pipelined_answers_keep_their_order_and_rate(servers):
    sites = slow_sites(limits('maxBandwidth="400000"'))
    server = servers.sites(*sites, files=FILES)
    begin = time.monotonic()
    with server.connect("one") as conn:
        conn.send(build("GET", "/large.txt") + build("GET", "/page.txt") + build("GET", "/large.txt"))
        assert [len(conn.read().body) for _ in range(3)] == [LARGE, 1000, LARGE]
    assert 1.1 < time.monotonic() - begin < 2.5
