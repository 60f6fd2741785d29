"""GET /metrics: what is counted, its format, and that a scraper can harm nobody."""
import pathlib
import re
import socket
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness import Pool, Site, read_w3c, wait_until
from harness.client import Conn, build
from harness.server import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FILES = {"inetpub/wwwroot/a.txt": "a" * 1000, "b/a.txt": "b"}


def address_of(server):
    for line in server.lines:
        found = re.match(r"candor: metrics on http://(\[.*\]|[0-9.]+):([0-9]+)/metrics$", line)
        if found:
            return found[1].strip("[]"), int(found[2])
    raise AssertionError(server.lines)


def ask(server, data):
    with Conn(address_of(server), 20) as conn:
        conn.send(data)
        return conn.read_to_end()


def scrape(server, patience=20):
    """{sample name: {frozenset of labels: value}}, checked by a strict reader of the format."""
    with Conn(address_of(server), patience) as conn:
        answer = conn.send(build("GET", "/metrics")).read()
    assert answer.status == 200 and answer.get("Content-Type") == TYPE
    assert answer.text.endswith("\n# EOF\n")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def value(found, name, /, **labels):
    return found.get(name, {}).get(frozenset((k, str(v)) for k, v in labels.items()), 0)


def requests(found):
    return sum(found.get("candor_request_duration_seconds_count", {}).values())


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(
        Site(), Site(name="b &quot;site&quot;", id=7, folder="b", pool="Second"),
        pools=[Pool("DefaultAppPool"), Pool("Second")], files=FILES, arguments=("--metrics", "0"))
    return server


def families_of_the_table():
    """{name: (type, labels)} of src/listener/metrics_table.h."""
    text = (TOP / "src/listener/metrics_table.h").read_text()
    rows = re.findall(r'^FAMILY\(\w+, "(\w+)", (\w+), "(\w*)", "([\w,]*)",\s+"((?:[^"\\]|\\.)*)"\)', text, re.M)
    assert len(rows) == len(re.findall(r"^FAMILY", text, re.M)) > 20
    return {name: (kind.lower(), labels, help_text) for name, kind, _, labels, help_text in rows}


def test_documented(server):
    """docs/metrics.md has the rows of the table, and these are what is exposed."""
    table = families_of_the_table()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", (TOP / "docs/metrics.md").read_text(), re.M)
    suffix = {"counter": "_total", "info": "_info"}
    assert [(name, kind, labels, text) for name, kind, labels, text in rows] == \
        [(name + suffix.get(kind, ""), kind, ", ".join(f"`{x}`" for x in labels.split(",") if x), text)
         for name, (kind, labels, text) in table.items()]
    exposed = re.findall(r"^# TYPE (\w+) (\w+)$", ask(server, build("GET", "/metrics")).decode(), re.M)
    assert exposed == [(name, kind) for name, (kind, _, _) in table.items()]


def test_requests_by_status(server):
    before = scrape(server)
    for _ in range(3):
        assert server.get("/a.txt").status == 200
    assert server.get("/nothing").status == 404
    assert server.get("/bin/x").status == 404
    assert server.get("/a.txt", site='b "site"').body == b"b"
    after = wait_until(lambda: requests(now := scrape(server)) == requests(before) + 6 and now,
                       "the counts")

    def more(name, /, **labels):
        return value(after, name, **labels) - value(before, name, **labels)
    assert more("candor_requests_total", site=1, status=200, substatus=0) == 3
    assert more("candor_requests_total", site=1, status=404, substatus=0) == 1
    assert more("candor_requests_total", site=1, status=404, substatus=8) == 1
    assert more("candor_requests_total", site=7, status=200, substatus=0) == 1
    assert more("candor_connections_accepted_total") == 6
    assert more("candor_request_duration_seconds_bucket", site=1, le="+Inf") == 5
    assert more("candor_queue_wait_seconds_count", pool="DefaultAppPool") == 5
    assert more("candor_queue_wait_seconds_count", pool="Second") == 1
    assert more("candor_ring_records_total", direction="request") >= 6
    assert more("candor_ring_records_total", direction="response") >= 6
    assert 1 <= more("candor_ring_turns_total") <= more("candor_ring_records_total", direction="response")
    assert value(after, "candor_site_info", site=7, name='b "site"') == 1
    assert value(after, "candor_queue_limit", pool="Second") == 1000


def test_bytes_are_those_of_the_log(server):
    before = scrape(server)
    marks = [f"/a.txt?mark={i}" for i in range(4)]
    for mark in marks:
        server.get(mark)
    rows = wait_until(lambda: len(rows := [r for r in read_w3c(server.drive) if r["cs-uri-query"].startswith("mark=")])
                      == len(marks) and rows, "the lines")
    after = scrape(server)
    if "sc-bytes" in rows[0]:
        for name, field in (("candor_sent_bytes_total", "sc-bytes"), ("candor_received_bytes_total", "cs-bytes")):
            assert value(after, name, site=1) - value(before, name, site=1) == sum(int(r[field]) for r in rows)
    assert value(after, "candor_sent_bytes_total", site=1) - value(before, "candor_sent_bytes_total", site=1) > 4000


def test_reasons(server):
    before = scrape(server)
    server.expect("URL", 2)
    for _ in range(2):
        assert b" 400 " in server.raw(build("GET", "/%zz"))
    after = scrape(server)
    assert value(after, "candor_httperr_total", reason="URL") - value(before, "candor_httperr_total", reason="URL") == 2
    assert value(after, "candor_sent_bytes_total", site="-") > value(before, "candor_sent_bytes_total", site="-")
    assert value(after, "candor_received_bytes_total", site="-") > \
        value(before, "candor_received_bytes_total", site="-")


def test_open_connections(server):
    before = value(scrape(server), "candor_connections")
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt")).read()
        found = scrape(server)
        assert value(found, "candor_connections") == before + 1
        assert value(found, "candor_site_connections", site=1) >= 1
    wait_until(lambda: value(scrape(server), "candor_connections") == before, "it is gone")


def test_pools(server):
    server.get("/a.txt")
    found = wait_until(lambda: (now := scrape(server)) and
                       value(now, "candor_pool_workers", pool="DefaultAppPool") == 1 and now, "the worker")
    assert value(found, "candor_pool_worker_starts_total", pool="DefaultAppPool") == 1
    assert value(found, "candor_pool_state", pool="DefaultAppPool", candor_pool_state="Started") == 1
    assert value(found, "candor_pool_state", pool="DefaultAppPool", candor_pool_state="Stopped") == 0
    assert time.time() - 600 < value(found, "candor_start_time_seconds") <= \
        value(found, "candor_listener_start_time_seconds") <= time.time()


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"GET /metricsx HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
    (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", b"405"),
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    (b"POST /other HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
    (b"hello\x00\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000 + b"\r\n\r\n", b"400"),
])
def test_other_requests(server, request_bytes, status):
    answer = ask(server, request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status + b" "), answer[:200]
    assert b"\r\nConnection: close\r\n" in answer
    assert (b"# EOF" in answer) == (status == b"200")


def test_head_and_pieces(server):
    head = ask(server, build("HEAD", "/metrics"))
    assert head.endswith(b"\r\n\r\n") and b"Content-Length: 0\r\n" not in head
    request = build("GET", "/metrics")
    with Conn(address_of(server), 20) as conn:
        conn.send_pieces(request, range(1, len(request)))
        assert conn.read_to_end().endswith(b"# EOF\n")
    with Conn(address_of(server), 20) as conn:
        conn.send(request).half_close()
        assert conn.read_to_end().endswith(b"# EOF\n")


def test_silent_clients_harm_nobody(server):
    """Clients that say nothing hold the few places until their time is over; sites do not notice."""
    silent = [socket.create_connection(address_of(server), 20) for _ in range(20)]
    assert server.get("/a.txt").status == 200
    begin = time.monotonic()
    assert value(scrape(server, patience=40), "candor_build_info", version="0.1.0") == 1    # waits for a place
    assert time.monotonic() - begin < 40
    for one in silent:
        one.close()
    assert scrape(server)


@pytest.mark.descriptors(1500)
def test_refused_connections(servers):
    server = servers.sites(Site(), files=FILES, reg={"MaxConnections": 1024}, arguments=("--metrics", "0"))
    assert server.get("/a.txt").status == 200
    held = [server.connect() for _ in range(1030)]
    server.tolerate("Timer_ConnectionIdle", "Connections_Refused")
    found = wait_until(lambda: (now := scrape(server)) and value(now, "candor_connections_refused_total") > 0 and now,
                       "a refusal")
    assert value(found, "candor_connections") <= 1024
    assert len(held) == 1030


def test_failures_and_recycles(servers):
    import os
    import signal
    from test_supervisor import ask as order
    server = servers.sites(Site(), files=FILES, arguments=("--metrics", "0"))
    server.tolerate_events("5009")
    assert server.get("/a.txt").status == 200
    assert order(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
    wait_until(lambda: value(scrape(server), "candor_pool_recycles_total", pool="DefaultAppPool") == 1, "the recycle")
    first = wait_until(lambda: len(w := server.find("worker")) == 1 and w[0], "one worker")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: value(scrape(server), "candor_pool_worker_failures_total", pool="DefaultAppPool") == 1,
               "the failure")
    assert order(server, verb="pool", action="stop", name="DefaultAppPool")["ok"]
    wait_until(lambda: value(scrape(server), "candor_pool_state", pool="DefaultAppPool",
                             candor_pool_state="Stopped") == 1, "the state")


def test_a_new_listener_serves_them_too(servers):
    import os
    import signal
    server = servers.sites(Site(), files=FILES, arguments=("--metrics", "0"))
    server.tolerate_events("1016")
    server.expected_stderr.append("the listener")
    first = scrape(server)
    os.kill(server.find("listener")[0], signal.SIGKILL)
    later = wait_until(lambda: (now := scrape(server)) and value(now, "candor_listener_start_time_seconds") >
                       value(first, "candor_listener_start_time_seconds") and now, "the new listener")
    assert value(later, "candor_start_time_seconds") == value(first, "candor_start_time_seconds")


@pytest.mark.parametrize("text", ["", "x", "65536", "localhost:9", "127.0.0.1:", ":9", "1.2.3:9", "[::1:9", "[]:9",
                                  "127.0.0.1:9x", "::1:9"])
def test_wrong_address(text):
    import subprocess
    from harness.server import BINARY
    done = subprocess.run([str(BINARY), "serve", "/tmp", "--metrics", text], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "--metrics" in done.stderr and done.stderr.count("\n") == 1


def test_address_in_use(servers):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = servers.sites(Site(), files=FILES, start=False,
                               arguments=("--metrics", f"127.0.0.1:{other.getsockname()[1]}"))
        server.exit_code = 1
        server.spawn()
        assert server.process.wait(20) == 1
        wait_until(lambda: "candor: metrics at " in server.stderr, "the reason")


@pytest.mark.ipv6
def test_ipv6(servers):
    server = servers.sites(Site(), files=FILES, arguments=("--metrics", f"[::1]:{free_port()}"))
    assert scrape(server) and "warning" not in server.stderr


def test_every_address(servers):
    server = servers.sites(Site(), files=FILES, arguments=("--metrics", f"0.0.0.0:{free_port()}"))
    assert "warning: everybody who reaches 0.0.0.0" in server.stderr
    with Conn(("127.0.0.1", address_of(server)[1]), 20) as conn:
        assert conn.send(build("GET", "/metrics")).read().status == 200
