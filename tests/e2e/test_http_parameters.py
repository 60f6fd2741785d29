"""What each value of the registry changes: one request against a server with its default and one with the value."""
import pathlib
import time

import pytest

from harness import Site, own_answer, read_httperr, wait_until
from harness.client import build
from harness.server import replace_file

FILES = {"inetpub/wwwroot/a.txt": "a", "inetpub/wwwroot/\xe9.txt": "e", "inetpub/wwwroot/A.txt": "a"}


def ask(target=b"/a.txt", more=b"", method=b"GET"):
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n"


def field(length):
    return b"X-Long: " + b"a" * length + b"\r\n"


# value, request, what comes by default, what comes with it: a reason of the listener, or a status of a site
ROWS = [
    ({"AllowCaseInsensitiveVerbs": 1}, ask(method=b"get"), "Verb", 200),
    ({"AllowRestrictedChars": 1}, ask(b"/%01"), "URL", 404),
    ({"AllowRestrictedChars": 2}, ask(b"/%C2%85"), "URL", 404),
    ({"AllowRestrictedChars": 1}, ask(b"/%00"), "URL", "URL"),
    ({"AllowUnEscapedRestrictedChars": 1}, ask(b"/\x01"), "URL", 404),
    ({"AllowUnEscapedRestrictedChars": 1}, ask(b"/a.txt?\x02"), "URL", 200),
    ({"AllowWeakHeaderNameSyntax": 1}, ask(more=b"B@d: x\r\n"), "Header", 200),
    ({"AllowWeakHeaderValueSyntax": 1}, ask(more=b"X: a\x01b\r\n"), "Header", 200),
    ({"EnableNonUTF8": 0}, ask(b"/%E9.txt"), 200, "URL"),
    ({"EnableNonUTF8": 0}, ask(b"/%C3%A9.txt"), 200, 200),
    ({"FavorUTF8": 0}, ask(b"/%C3%A9.txt"), 200, 404),
    ({"FavorUTF8": 0, "EnableNonUTF8": 0}, ask(b"/%C3%A9.txt"), 200, 200),
    ({"PercentUAllowed": 0}, ask(b"/%u0061.txt"), 200, "URL"),
    ({"MaxFieldLength": 64}, ask(more=field(100)), 200, "FieldLength"),
    ({"MaxFieldLength": 64}, ask(b"/" + b"a/" * 60), 404, "URL_Length"),
    ({"MaxRequestBytes": 32768}, ask(more=field(9000) + field(9000)), "RequestLength", 200),
    ({"MaxRequestBytes": 256}, ask(more=field(200) + field(100)), 200, "RequestLength"),
    ({"MaxFieldLength": 32768, "MaxRequestBytes": 65536}, ask(more=field(20000)), "RequestLength", 200),
    ({"MaxRequestBytes": 65536}, ask(more=field(20000)), "RequestLength", "FieldLength"),
    ({"MaxFieldLength": 32768}, ask(more=field(20000)), "RequestLength", "RequestLength"),   # it holds the other down
    ({"UrlSegmentMaxCount": 0}, ask(b"/" + b"/a" * 300), "URL", 404),
    ({"UrlSegmentMaxCount": 2}, ask(b"/a/b/c"), 404, "URL"),
    ({"UrlSegmentMaxLength": 0}, ask(b"/" + b"a" * 300), "URL", 404),
    ({"UrlSegmentMaxLength": 4}, ask(b"/a.txt"), 200, "URL"),
]


@pytest.fixture(scope="module")
def by_default(module_servers):
    return module_servers.sites(Site(), files=FILES)


def outcome(server, data, want):
    """Sends data and checks what comes; a reason must be in HTTPERR as well."""
    if isinstance(want, str):
        server.expect(want)
        with server.connect() as conn:
            conn.send(data)
            own_answer(conn.read_to_end(), want)
            assert server.httperr_for(conn.port)["s-reason"] == want
    else:
        with server.connect() as conn:
            conn.send(data)
            assert conn.read().status == want


@pytest.mark.parametrize("values,data,default,changed", ROWS,
                         ids=[f"{'+'.join(r[0])}-{i}" for i, r in enumerate(ROWS)])
def test_effect(servers, by_default, values, data, default, changed):
    outcome(by_default, data, default)
    outcome(servers.sites(Site(), files=FILES, reg=values), data, changed)


@pytest.mark.parametrize("value,own", [(0, True), (1, False), (2, False)])
def test_disable_server_header(servers, value, own):
    """1 and 2 concern the listener's own banner; what the pipeline sets is kept."""
    server = servers.sites(Site(), files=FILES, reg={"DisableServerHeader": value})
    server.expect("Verb")
    assert (b"\r\nServer: Microsoft-HTTPAPI/2.0\r\n" in server.raw(ask(method=b"get"))) == own
    assert ("Server", "Microsoft-IIS/10.0") in server.get("/a.txt").headers


@pytest.mark.parametrize("value,limits,data,reason", [
    ({"IdleConnectionTimeout": 1}, 'connectionTimeout="00:00:00"', b"", "Timer_ConnectionIdle"),
    ({"HeaderWaitTimeout": 1}, "", b"GET / HT", "Timer_HeaderWait")])
def test_timers(servers, value, limits, data, reason):
    server = servers.sites(Site(), files=FILES, reg=value, web_limits=limits)
    server.expect(reason)
    with server.connect() as conn:
        begin = time.monotonic()
        if data:
            conn.send(data)
        assert conn.read_to_end() == b""
        assert 0.8 < time.monotonic() - begin < 10
        assert server.httperr_for(conn.port)["s-reason"] == reason


@pytest.mark.parametrize("value,refused", [({"UrlSegmentMaxLength": 32767}, True), ({"MaxFieldLength": 63}, False),
                                           ({"MaxConnections": 1023}, False), ({"MaxEndpoints": 1025}, False),
                                           ({"ErrorLoggingRolloverType": 5}, False),
                                           ({"ErrorLoggingFields": 0x80000000}, False),
                                           ({"UrlSegmentMaxLength": "4"}, True)])
def test_out_of_range_or_of_the_wrong_type(servers, value, refused):
    """An event and the documented default."""
    server = servers.sites(Site(), files=FILES, reg=value, start=False)
    server.tolerate_events("1007")
    server.start()
    name = next(iter(value))
    event = server.wait_event(name)
    assert event["id"] == 1007 and "http.reg" in event["text"] and "default" in event["text"]
    assert f"http.reg:4:{len(name) + 4}: warning: {name}" in server.stderr
    outcome(server, ask(b"/" + b"a" * 261), "URL")
    outcome(server, ask(b"/" + b"a" * 260), 404)


def test_every_column_of_httperr(servers):
    server = servers.sites(Site(host="www.example.test"), files=FILES, reg={"ErrorLoggingFields": 0x7DFF4E7})
    server.expect("Hostname")
    data = (b"GET /x?q HTTP/1.1\r\nHost: other.test\r\nUser-Agent: an agent\r\nCookie: c=1\r\n"
            b"Referer: http://r/\r\n\r\n")
    with server.connect() as conn:
        conn.send(data)
        answer = conn.read_to_end()
        row = server.httperr_for(conn.port)
    assert list(row) == ["date", "time", "s-computername", "c-ip", "c-port", "s-ip", "s-port", "cs-version", "cs-method",
                         "cs-uri", "streamid", "cs(User-Agent)", "cs(Cookie)", "cs(referrer)", "cs-host", "sc-status",
                         "sc-bytes", "cs-bytes", "time-taken", "s-siteid", "s-reason", "s-queuename"]
    assert row["s-computername"] != "-" and row["time-taken"].isdigit()
    assert [row[n] for n in ("cs-uri", "cs(User-Agent)", "cs(Cookie)", "cs(referrer)", "cs-host", "sc-bytes",
                             "cs-bytes")] == ["/x?q", "an+agent", "c=1", "http://r/", "other.test", str(len(answer)),
                                              str(len(data))]


def test_values_change_while_it_runs(servers):
    server = servers.sites(Site(), files=FILES, reg={"UrlSegmentMaxLength": 4})
    outcome(server, ask(b"/a.txt"), "URL")
    server.reg_path.write_bytes(server.reg_path.read_bytes().replace(b"dword:00000004", b"dword:00000005"))

    def follows():
        with server.connect() as conn:
            conn.send(ask(b"/a.txt"))
            return conn.read().status == 200
    server.tolerate("URL")
    wait_until(follows, "the new value")
    # A file that is no export any more changes nothing but the event log.
    server.tolerate_events("1008")
    server.reg_path.write_bytes(b"rubbish")
    server.wait_event("1008")
    outcome(server, ask(b"/a.txt"), 200)
    assert len(read_httperr(server.drive)) >= 1


def unacknowledged(server, port):
    """Bytes that the kernel holds for the client at that port."""
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)) == (server.port, port):
            return int(fields[4].split(":")[0], 16)
    return 0


def test_bytes_under_way(servers):
    """MaxBytesPerSend: a client that does not read holds so much of the server's memory, and no more."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/big.bin": b"x" * 8_000_000}, reg={"MaxBytesPerSend": 8192})
    server.tolerate("Client_Reset", "Connection_Dropped", "Timer_MinBytesPerSecond")

    def held_for_a_client():
        """When it has come to rest."""
        with server.connect(receive_buffer=4096) as conn:
            conn.send(build("GET", "/big.bin"))
            seen = [0]

            def rests():
                seen.append(unacknowledged(server, conn.port))
                return seen[-1] > 0 and seen[-10:] == [seen[-1]] * 10
            wait_until(rests, "it rests", pause=0.05)
            return seen[-1]
    assert held_for_a_client() <= 2 * 8192
    replace_file(server.reg_path, server.reg_path.read_bytes().replace(b"00002000", b"00010000"))
    server.wait_event("generation 2")
    assert held_for_a_client() > 4 * 8192, "the default is the kernel's"
