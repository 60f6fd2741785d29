"""What the listener answers by itself: each reason by its true cause, the bytes of the answer, the
HTTPERR line, the end of the connection. The rows follow the reference's table of raw requests.
"""

import pytest

from harness import Site, own_answer, read_w3c, wait_until
from harness.server import free_port

HOST = b"Host: www.example.test\r\n"


def get(target=b"/", more=b"", method=b"GET", version=b"HTTP/1.1", host=HOST):
    return method + b" " + target + b" " + version + b"\r\n" + host + more + b"\r\n"


ANY = object()                            # a column the reference leaves open

# name, bytes, reason, cs-version, cs-method, cs-uri
ROWS = [
    ("method without a blank", b"helo\r\n", "Verb", "-", "-", "-"),
    ("separator in method", get(method=b"GE(T"), "Verb", "-", "-", "-"),
    ("brace in method", get(method=b"G{T"), "Verb", "-", "-", "-"),
    ("lower-case method", get(method=b"get"), "Verb", "-", "-", "-"),
    ("control byte in method", get(method=b"G\x01T"), "Verb", "-", "-", "-"),
    ("high byte in method", get(method=b"G\xe9T"), "Verb", "-", "-", "-"),
    ("target without slash", get(b"foo"), "URL", ANY, "GET", ANY),
    ("escape without digits", get(b"/a%zz"), "URL", ANY, "GET", ANY),
    ("escape cut off", get(b"/a%4"), "URL", ANY, "GET", ANY),
    ("escaped NUL", get(b"/a%00b"), "URL", ANY, "GET", ANY),
    ("escaped 1F", get(b"/a%1Fb"), "URL", ANY, "GET", ANY),
    ("escaped 7F", get(b"/a%7Fb"), "URL", ANY, "GET", ANY),
    ("raw 01", get(b"/a\x01b"), "URL", ANY, "GET", ANY),
    ("segment of 261", get(b"/" + b"a" * 261), "URL", ANY, "GET", ANY),
    ("256 segments", get(b"/a" * 256), "URL", ANY, "GET", ANY),
    ("above the root", get(b"/../x"), "Forbidden", "HTTP/1.1", "GET", ANY),
    ("above the root, escaped", get(b"/a/%2e%2e/%2e%2e/x"), "Forbidden", "HTTP/1.1", "GET", ANY),
    ("above the root, back-slashes", get(b"/a\\..\\..\\x"), "Forbidden", "HTTP/1.1", "GET", ANY),
    ("target of 34000", get(b"/" + b"a/" * 17000), "URL_Length", "-", "GET", "-"),
    ("HTTP/2.0 in text", get(version=b"HTTP/2.0"), "Version_N/S", "HTTP/2.0", "GET", "/"),
    ("HTTP/9.9", get(b"/a", version=b"HTTP/9.9"), "Version_N/S", "HTTP/9.9", "GET", "/a"),
    ("HTTP/12.0", get(b"/a", version=b"HTTP/12.0"), "Version_N/S", "HTTP/?.?", "GET", "/a"),
    ("HTTX", get(version=b"HTTX/1.1"), "BadRequest", ANY, "GET", ANY),
    ("lower-case version", get(version=b"http/1.1"), "BadRequest", ANY, "GET", ANY),
    ("blank in target", get(b"/a b"), "BadRequest", ANY, "GET", ANY),
    ("lines ended by CR alone", b"GET / HTTP/1.1\rHost: www.example.test\r\r", "BadRequest", ANY, "GET", ANY),
    ("User-Agent twice", get(more=b"User-Agent: a\r\nUser-Agent: b\r\n"), "BadRequest", "HTTP/1.1", "GET", "/"),
    ("Host twice", get(more=HOST), "BadRequest", "HTTP/1.1", "GET", "/"),
    ("Content-Length twice", get(method=b"POST", more=b"Content-Length: 0\r\nContent-Length: 0\r\n"),
     "BadRequest", "HTTP/1.1", "POST", "/"),
    ("separator in a name", get(b"/c", b"Bad?Name: x\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("at sign in a name", get(b"/c", b"B@d: x\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("line without colon", get(b"/c", b"NoColon\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("empty name", get(b"/c", b": x\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("blank before the colon", get(b"/c", b"X : y\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("NUL in a value", get(b"/c", b"X: a\0b\r\n"), "Header", "HTTP/1.1", "GET", "/c"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", "Hostname", "HTTP/1.1", "GET", "/"),
    ("unknown host", get(b"/x?y", host=b"Host: other.test\r\n"), "Hostname", "HTTP/1.1", "GET", "/x?y"),
    ("slash in host", get(host=b"Host: a/b\r\n"), "Hostname", "HTTP/1.1", "GET", "/"),
    ("port out of range", get(host=b"Host: www.example.test:99999\r\n"), "Hostname", "HTTP/1.1", "GET", "/"),
    ("empty Host", get(host=b"Host:\r\n"), "Hostname", "HTTP/1.1", "GET", "/"),
    ("dot at the end of the host", get(host=b"Host: www.example.test.\r\n"), "Hostname", "HTTP/1.1", "GET", "/"),
    ("three headers of 6000", get(more=b"".join(b"X%d: %s\r\n" % (i, b"a" * 6000) for i in range(3))),
     "RequestLength", "HTTP/1.1", "GET", "/"),
    ("POST without length", get(method=b"POST"), "LengthRequired", "HTTP/1.1", "POST", "/"),
    ("PUT without length", get(method=b"PUT"), "LengthRequired", "HTTP/1.1", "PUT", "/"),
    ("length with a letter", get(method=b"POST", more=b"Content-Length: 1x\r\n"), "Number", "HTTP/1.1", "POST", "/"),
    ("length with a sign", get(method=b"POST", more=b"Content-Length: -1\r\n"), "Number", "HTTP/1.1", "POST", "/"),
    ("length with a plus", get(method=b"POST", more=b"Content-Length: +1\r\n"), "Number", "HTTP/1.1", "POST", "/"),
    ("length in hex", get(method=b"POST", more=b"Content-Length: 0x1\r\n"), "Number", "HTTP/1.1", "POST", "/"),
    ("empty length", get(method=b"POST", more=b"Content-Length:\r\n"), "Number", "HTTP/1.1", "POST", "/"),
    ("length of 21 digits", get(method=b"POST", more=b"Content-Length: " + b"9" * 21 + b"\r\n"), "Number",
     "HTTP/1.1", "POST", "/"),
    ("coding gzip alone", get(method=b"POST", more=b"Transfer-Encoding: gzip\r\n"), "N/I", "HTTP/1.1", "POST", "/"),
    ("chunked, then gzip", get(method=b"POST", more=b"Transfer-Encoding: chunked, gzip\r\n"), "N/I",
     "HTTP/1.1", "POST", "/"),
    ("CR inside the target", get(b"/a\rb"), "Invalid_CR/LF", ANY, "GET", ANY),
]
NAMES = [row[0] for row in ROWS]
assert len(set(NAMES)) == len(NAMES)
STATUS = {"Forbidden": "403", "LengthRequired": "411", "URL_Length": "414", "N/I": "501", "Version_N/S": "505"}


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers.sites(Site(host="www.example.test"), files={"inetpub/wwwroot/index.html": "home"})


@pytest.fixture(scope="module")
def outcomes(server):
    """Every row sent once: {name: (client port, answer)}; so the log is waited for only once."""
    found = {}
    for name, data, reason, *_ in ROWS:
        with server.connect() as conn:
            conn.send(data)
            found[name] = (conn.port, conn.read_to_end())
        server.expect(reason)
    return found


@pytest.mark.smoke
@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_answer_and_log_line(server, outcomes, row):
    name, _, reason, version, method, uri = row
    port, raw = outcomes[name]
    own_answer(raw, reason)
    line = server.httperr_for(port)
    address, server_port = server.address()
    want = {"c-ip": "127.0.0.1", "c-port": str(port), "s-ip": address, "s-port": str(server_port),
            "cs-version": version, "cs-method": method, "cs-uri": uri, "streamid": "-",
            "sc-status": STATUS.get(reason, "400"), "s-siteid": "-", "s-reason": reason, "s-queuename": "-"}
    got = {k: v for k, v in line.items() if want.get(k) is not ANY and k not in ("date", "time")}
    assert got == {k: v for k, v in want.items() if v is not ANY}


CUT_ROWS = ["method without a blank", "escape without digits", "above the root, escaped", "HTTP/9.9",
            "NUL in a value", "unknown host", "length with a letter", "coding gzip alone", "CR inside the target"]


@pytest.mark.parametrize("name", CUT_ROWS)
def test_same_answer_wherever_the_request_is_cut(server, name):
    _, data, reason, *_ = ROWS[NAMES.index(name)]
    for cut in range(1, len(data)):
        with server.connect() as conn:
            conn.send_pieces(data, [cut])
            own_answer(conn.read_to_end(), reason)
        server.expect(reason)


@pytest.mark.parametrize("name", CUT_ROWS)
def test_same_answer_byte_by_byte(server, name):
    _, data, reason, *_ = ROWS[NAMES.index(name)]
    server.expect(reason)
    with server.connect() as conn:
        conn.send_pieces(data, range(1, len(data)))
        own_answer(conn.read_to_end(), reason)


def test_head_gets_no_body(server):
    server.expect("Hostname")
    own_answer(server.raw(b"HEAD / HTTP/1.1\r\n\r\n"), "Hostname", head_only=True)


def test_the_answer_survives_what_the_client_still_sends(server):
    """A client that goes on writing must not lose the answer to a reset."""
    server.expect("Verb")
    with server.connect() as conn:
        conn.send(b"GE(T / HTTP/1.1\r\n" + b"X: " + b"a" * 200000)
        own_answer(conn.read_to_end(), "Verb")


def test_error_after_a_good_request_on_the_same_connection(server):
    server.expect("Header")
    with server.connect() as conn:
        conn.send(get() + get(more=b"NoColon\r\n") + get())
        assert conn.read().status == 200
        own_answer(conn.read_to_end(), "Header")


@pytest.mark.parametrize("chunk", [b"ZZ\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"-1\r\n", b"5_0\r\n",
                                   b"\r\nhello\r\n", b"1" + b"0" * 16 + b"\r\n"])
def test_bad_chunk_size(server, chunk):
    """Either the listener saw it in time and answers, or the worker had the request already."""
    server.expect("Number")
    with server.connect() as conn:
        conn.send(get(method=b"POST", more=b"Transfer-Encoding: chunked\r\n") + chunk)
        try:
            raw = conn.read_to_end()
        except ConnectionResetError:
            raw = b""
        if raw.startswith(b"HTTP/1.1 400"):
            own_answer(raw, "Number")
        else:
            assert raw == b"" or raw.startswith(b"HTTP/1.1 405 ")
        assert server.httperr_for(conn.port)["s-reason"] == "Number"


# What looks odd and yet reaches the pipeline: the answer carries IIS's banner, not HTTP.sys's.
PASSING = [
    ("LF only", b"GET / HTTP/1.1\nHost: www.example.test\n\n", 200),
    ("empty lines first", b"\r\n\r\n" + get(), 200),
    ("length and chunked", get(method=b"POST", more=b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n")
     + b"0\r\n\r\n", 405),
    ("chunked with a comma", get(method=b"POST", more=b"Transfer-Encoding: chunked,\r\n") + b"0\r\n\r\n", 405),
    ("gzip, chunked on two lines",
     get(method=b"POST", more=b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 405),
    ("double escape", get(b"/%252F"), 404),
    ("dot segment", get(b"/a/./b"), 404),
    ("empty segments", get(b"//a//b"), 404),
    ("%u escape", get(b"/%u0069ndex.html"), 200),
    ("unknown method", get(method=b"FOO"), 405),
    ("raw specials in path", get(b"/{}|^[]'"), 404),
    ("high bytes in a value", get(more=b"X: \xe9\xff\r\n"), 200),
    ("folded value", get(more=b"X: a\r\n b\r\n"), 200),
    ("segment of 260", get(b"/" + b"a" * 260), 404),
    ("255 segments", get(b"/a" * 255), 404),
    ("absolute target", get(b"http://www.example.test/", host=b"Host: other.test\r\n"), 200),
    ("host in capitals with port", get(host=b"Host: WWW.Example.TEST:80\r\n"), 200),
    ("HTTP/1.9", get(version=b"HTTP/1.9"), 200),
    ("back-slashes", get(b"/a\\..\\index.html"), 200),
]


@pytest.mark.parametrize("row", PASSING, ids=[r[0] for r in PASSING])
def test_passes_the_listener(server, row):
    _, data, status = row
    with server.connect() as conn:
        conn.send(data)
        answer = conn.read()
    assert answer.status == status, answer
    assert answer.get("Server") == "Microsoft-IIS/10.0"


def test_length_and_chunked_ends_the_connection(server):
    """Chunked wins, and nothing that follows is taken for a request."""
    with server.connect() as conn:
        conn.send(get(method=b"POST", more=b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n")
                  + b"0\r\n\r\n" + get(b"/smuggled"))
        answer = conn.read()
        assert answer.get("Connection") == "close"
        assert conn.ended()
    server.w3c(wait=lambda r: r["cs-method"] == "POST")
    assert not [r for r in read_w3c(server.drive) if "smuggled" in r["cs-uri-stem"]]


def test_own_answers_are_not_in_the_site_log(server, outcomes):
    server.get("/marker-after-errors", host="www.example.test")
    server.w3c_for("/marker-after-errors")
    statuses = {r["sc-status"] for r in read_w3c(server.drive)}
    assert statuses <= {"200", "404", "405"}, statuses


# --- with other parameters ---

@pytest.fixture(scope="module")
def tuned(module_servers):
    return module_servers.sites(Site(host="www.example.test"), files={"inetpub/wwwroot/index.html": "home"},
                                reg={"MaxRequestBytes": 65536, "UrlSegmentMaxLength": 20, "UrlSegmentMaxCount": 4,
                                     "AllowRestrictedChars": 1, "PercentUAllowed": 0, "DisableServerHeader": 1})


def strip_server(raw):
    assert b"\r\nServer:" not in raw, raw
    return raw.replace(b"\r\nDate:", b"\r\nServer: Microsoft-HTTPAPI/2.0\r\nDate:", 1)


TUNED = [
    ("one header of 16400", get(more=b"X: " + b"a" * 16400 + b"\r\n"), "FieldLength"),
    ("segment of 21", get(b"/" + b"a" * 21), "URL"),
    ("five segments", get(b"/a/b/c/d/e"), "URL"),
    ("%u refused", get(b"/%u0041"), "URL"),
    ("NUL still refused", get(b"/a%00"), "URL"),
]


@pytest.mark.parametrize("row", TUNED, ids=[r[0] for r in TUNED])
def test_parameters_change_the_limits(tuned, row):
    _, data, reason = row
    tuned.expect(reason)
    own_answer(strip_server(tuned.raw(data)), reason)


@pytest.mark.parametrize("target", ["/" + "a" * 20, "/a/b/c/d", "/a%01b"])
def test_parameters_also_widen(tuned, target):
    assert tuned.get(target, host="www.example.test").status == 404


def test_registry_file_in_utf16(servers):
    text = ("Windows Registry Editor Version 5.00\r\n\r\n"
            "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\r\n"
            "\"UrlSegmentMaxLength\"=dword:00000005\r\n")
    server = servers.sites(reg=text.encode("utf-16"), files={"inetpub/wwwroot/index.html": "home"})
    server.expect("URL")
    own_answer(server.raw(b"GET /abcdef HTTP/1.1\r\nHost: x\r\n\r\n"), "URL")
    assert server.get("/abcde").status == 404


# --- states of sites and pools ---

def test_host_bound_but_path_not_registered(servers):
    """A site whose only application is /sub claims nothing else: the listener's own 404."""
    server = servers.sites(Site(name="a", id=1), Site(name="b", id=2, folder="b", root_path="/sub"),
                           files={"inetpub/wwwroot/index.html": "home", "b/index.html": "b"})
    server.tolerate_events(".")           # a site without a root application is worth an event
    server.expect("NotFound")
    raw = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", site="b")
    own_answer(raw, "NotFound")
    assert server.get("/sub/index.html", site="b").body == b"b"


def test_site_that_is_not_started_has_no_listener(servers):
    port = free_port()
    server = servers.sites(Site(), Site(name="off", id=2, folder="off", port=port,
                                        attributes='serverAutoStart="false"'))
    with pytest.raises(ConnectionRefusedError):
        server.connect(address=("127.0.0.1", port))


def test_two_sites_share_a_port_by_host(servers):
    port = free_port()
    one = Site(name="one", id=1, folder="one", port=port, host="one.test")
    two = Site(name="two", id=2, folder="two", port=port, host="two.test")
    rest = Site(name="rest", id=3, folder="rest", port=port)
    server = servers.sites(one, two, rest, files={f"{n}/index.html": n for n in ("one", "two", "rest")})
    for host, body in (("one.test", b"one"), ("TWO.test", b"two"), ("other.test", b"rest"),
                       (f"one.test:{port}", b"one")):
        assert server.get("/", host=host).body == body
    wait_until(lambda: sum(len(read_w3c(server.drive, n)) for n in "123") == 4, "four records")
    assert [len(read_w3c(server.drive, site)) for site in "123"] == [2, 1, 1]


def test_http10_without_host_takes_the_unnamed_binding(servers):
    server = servers.sites(files={"inetpub/wwwroot/index.html": "home"})
    answer = server.raw(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"home")


def test_httperr_header_block_and_line_format(server, outcomes):
    server.httperr_for(outcomes[NAMES[0]][0])
    path = server.drive / "Windows/System32/LogFiles/HTTPERR/httperr1.log"
    lines = path.read_bytes().split(b"\r\n")
    assert lines[0] == b"#Software: Microsoft HTTP API 2.0"
    assert lines[1] == b"#Version: 1.0"
    assert lines[2].startswith(b"#Date: ") and len(lines[2]) == len("#Date: 2026-10-07 12:24:54")
    assert lines[3] == (b"#Fields: date time c-ip c-port s-ip s-port cs-version cs-method cs-uri streamid "
                        b"sc-status s-siteid s-reason s-queuename")
    assert b"\n" not in b"".join(lines) and lines[-1] == b""


def test_blanks_and_control_bytes_cannot_forge_log_lines(server):
    server.expect("Hostname")
    with server.connect() as conn:
        conn.send(get(b"/a%20b%09c?q\xe9", host=b"Host: other.test\r\n")
                  .replace(b"%09c", b"c"))
        own_answer(conn.read_to_end(), "Hostname")
        line = server.httperr_for(conn.port)
    assert line["cs-uri"].startswith("/a+bc?q")
