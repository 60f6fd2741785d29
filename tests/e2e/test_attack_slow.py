"""Slow clients by the thousand cost memory, bounded, and nobody else's time.

Short and long form differ in how long they hold on (see harness/attack.py).
"""
import pathlib
import resource

import pytest

from harness import Pool, Site, attack
from harness.server import read_httperr, wait_until

BINARIES = attack.binaries()
# A delay that a busy machine causes without any attack; below it nothing is said about latency.
NOISE_US = 5000


@pytest.fixture(params=BINARIES, ids=attack.binary_name)
def binary(request):
    return request.param


@pytest.fixture
def many_descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]      # as high as it may be, see conftest.py


def need(descriptors, count):
    if descriptors < count + 500:
        pytest.skip(f"only {descriptors} descriptors allowed")


def make_server(servers, binary, files=None, **limits):
    text = " ".join(f'{name}="{value}"' for name, value in limits.items())
    site = Site(inner=f'<limits connectionTimeout="{limits.get("connectionTimeout", "00:02:00")}" />')
    pool = Pool("DefaultAppPool", 'queueLength="65535"')
    server = servers.sites(site, pools=[pool], web_limits=text, binary=pathlib.Path(binary),
                           files={"inetpub/wwwroot/a.txt": "a" * 1000} | (files or {}))
    attack.warm_up(server)
    return server


def reasons(server, name):
    return sum(row["s-reason"] == name for row in read_httperr(server.drive))


def judge_latency(before, during, binary):
    """No error; in the long form, which wants a quiet machine, p99 at most doubles."""
    print(f"p99 before {before[3]} us, during {during[3]} us; errors {during[1]} of {during[0]}")
    assert before[1] == 0 and during[1] == 0, "a normal client saw an error"
    if attack.LONG and not attack.is_sanitized(binary):
        assert during[3] <= max(2 * before[3], NOISE_US), f"p99 rose from {before[3]} to {during[3]} us"


def test_half_open_heads(servers, binary, many_descriptors):
    """10,000 request heads that never end: normal clients see no error (long form: p99 at most
    doubles); each ends by headerWaitTimeout with one HTTPERR line; at most 8 KiB are held for each."""
    count = 2000 if attack.is_sanitized(binary) else 10000
    need(many_descriptors, count)
    server = make_server(servers, binary, headerWaitTimeout=f"00:00:{attack.amount(12, 40)}")
    growth = attack.Growth(server)
    before = attack.probe(server)
    with attack.plain("heads", server, count, 90) as flood:
        assert flood.opened() == count
        during = attack.probe(server, seconds=attack.amount(6, 25))
        left, ended = flood.numbers()
    assert (left, ended) == (0, count), "the server does not end half-open heads"
    judge_latency(before, during, binary)
    wait_until(lambda: reasons(server, "Timer_HeaderWait") == count,
               lambda: f"{reasons(server, 'Timer_HeaderWait')} lines for {count} connections")
    server.expect("Timer_HeaderWait", count)
    growth.check(8 * count)


def test_slow_bodies(servers, binary, many_descriptors):
    """Bodies that come byte by byte. Each byte gives HTTP.sys's timer a full interval, so they may stay; but
    normal clients see no error and p99 at most doubles."""
    count = 1000 if attack.is_sanitized(binary) else 5000
    need(many_descriptors, count)
    server = make_server(servers, binary)
    growth = attack.Growth(server)
    before = attack.probe(server)
    with attack.plain("bodies", server, count, attack.amount(8, 60)) as flood:
        assert flood.opened() == count
        during = attack.probe(server, seconds=attack.amount(5, 30))
        flood.numbers()
    judge_latency(before, during, binary)
    server.tolerate("Client_Reset", "Connection_Dropped")
    growth.check(8 * count)


def test_stalled_bodies(servers, binary):
    """Bodies of which nothing more comes are over after connectionTimeout."""
    count = 1000
    server = make_server(servers, binary, connectionTimeout="00:00:04")
    server.tolerate("Timer_EntityBody", "Timer_ConnectionIdle")
    growth = attack.Growth(server)
    with attack.plain("stalls", server, count, 40) as flood:
        assert flood.opened() == count
        left, ended = flood.numbers()
    assert (left, ended) == (0, count), "the server waits for bodies without end"
    growth.check(8 * count)


def test_slow_readers(servers, binary):
    """Clients that ask for a large file and take a few bytes at a time: memory stays flat (the file is
    sent from the page cache), normal clients are served, and minBytesPerSecond ends them."""
    count = attack.amount(300, 2000)
    server = make_server(servers, binary, {"inetpub/wwwroot/large.bin": b"x" * 50_000_000})
    server.tolerate("Timer_MinBytesPerSecond", "Client_Reset", "Connection_Dropped")
    growth = attack.Growth(server)
    with attack.plain("readers", server, "/large.bin", count, attack.amount(10, 60)) as flood:
        assert flood.opened() == count
        with attack.Meanwhile(server) as meanwhile:
            flood.numbers()
    meanwhile.check(longest=10)
    growth.check(16384)
