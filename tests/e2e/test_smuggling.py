"""Requests that two servers might read differently: each has one answer here, and no second request
may come out of any of them.
"""
import pytest

from harness import Site, read_w3c

HEAD = b"POST /a.txt HTTP/1.1\r\nHost: www.example.test\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: www.example.test\r\n\r\n"

# name, bytes after HEAD, expected: reason of the listener's answer, or "drop" for "served, then closed",
# or "serve" for "one request with this body, and NEXT behind it is a true second one"
REFUSED = [
    ("length with plus", b"Content-Length: +5\r\n\r\nhello", "Number"),
    ("length with minus", b"Content-Length: -5\r\n\r\nhello", "Number"),
    ("length in hex", b"Content-Length: 0x5\r\n\r\nhello", "Number"),
    ("length with underscore", b"Content-Length: 5_0\r\n\r\nhello", "Number"),
    ("length with comma", b"Content-Length: 5,5\r\n\r\nhello", "Number"),
    ("length with blank inside", b"Content-Length: 5 0\r\n\r\nhello", "Number"),
    ("length overflowing", b"Content-Length: 18446744073709551621\r\n\r\nhello", "Number"),
    ("length as float", b"Content-Length: 5.0\r\n\r\nhello", "Number"),
    ("length with high digits", b"Content-Length: \xb2\r\n\r\nhello", "Number"),
    ("two equal lengths", b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "BadRequest"),
    ("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "BadRequest"),
    ("length with a blank before the colon", b"Content-Length : 5\r\n\r\nhello", "Header"),
    ("coding with a blank before the colon", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "Header"),
    ("coding with a tab before the colon", b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", "Header"),
    ("coding identity", b"Transfer-Encoding: identity\r\n\r\n", "N/I"),
    ("coding xchunked", b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "N/I"),
    ("coding with quotes", b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', "N/I"),
    ("chunked is not last", b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "N/I"),
    ("vertical tab before chunked", b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", None),
    ("NUL in the coding", b"Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", "Header"),
    ("NUL in the length", b"Content-Length: 5\0\r\n\r\nhello", "Header"),
    ("NUL in a name", b"Content-\0Length: 5\r\n\r\nhello", "Header"),
    ("missing colon", b"Content-Length 5\r\n\r\nhello", "Header"),
    ("lone CR in a value", b"X: a\rContent-Length: 5\r\n\r\nhello", None),
    ("lone CR before the length", b"X: a\r\rContent-Length: 5\r\n\r\nhello", None),
    ("high byte in a name", b"Content-Length\xff: 5\r\n\r\nhello", "Header"),
    ("underscore instead of the dash", b"Content_Length: 5\r\n\r\n", "LengthRequired"),
]
CHUNKS = [
    ("size with plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("size with minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("size with underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("size with blank before", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("size overflowing", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("no size", b"\r\nhello\r\n0\r\n\r\n"),
    ("size with a semicolon only", b";x\r\nhello\r\n0\r\n\r\n"),
    ("data longer than the size", b"3\r\nhello\r\n0\r\n\r\n"),
    ("data without its CRLF", b"5\r\nhello0\r\n\r\n"),
    ("lone CR in the extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("NUL behind the size", b"5\0\r\nhello\r\n0\r\n\r\n"),
    ("bad trailer name", b"5\r\nhello\r\n0\r\nbad name: x\r\n\r\n"),
    ("trailer without colon", b"5\r\nhello\r\n0\r\nbad\r\n\r\n"),
]
SERVED = [
    ("length with blanks around", b"Content-Length:  \t5 \t\r\n\r\nhello"),
    ("length with leading zeros", b"Content-Length: 0005\r\n\r\nhello"),
    ("coding in capitals", b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("coding with tab", b"Transfer-Encoding:\tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("folded coding", b"Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("trailer named like a length", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n"),
    ("extension with quotes", b"Transfer-Encoding: chunked\r\n\r\n5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
]
BOTH = [
    ("length, then chunked", b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked, then length", b"Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n"),
    ("length 0 and chunked", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
]


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(Site(host="www.example.test"), files={"inetpub/wwwroot/a.txt": "a"})
    server.tolerate("BadRequest", "Header", "Number", "N/I", "Invalid_CR/LF", "LengthRequired")
    return server


def exchange(server, data):
    """All the bytes the server sends; a reset counts as the end."""
    with server.connect() as conn:
        conn.send(data)
        conn.half_close()
        raw = b""
        try:
            raw = conn.read_to_end()
        except ConnectionResetError:
            raw = conn.pending
        return conn.port, raw


@pytest.mark.parametrize("row", REFUSED, ids=[r[0] for r in REFUSED])
def test_refused_by_the_listener(server, row):
    _, rest, reason = row
    port, raw = exchange(server, HEAD + rest + NEXT)
    assert raw.count(b"HTTP/1.1 ") == 1 and b"\r\nServer: Microsoft-HTTPAPI/2.0\r\n" in raw, raw
    assert raw.split(b" ")[1] in (b"400", b"411", b"501")
    line = server.httperr_for(port)
    if reason:
        assert line["s-reason"] == reason


@pytest.mark.parametrize("row", CHUNKS, ids=[r[0] for r in CHUNKS])
def test_bad_chunks_end_the_connection(server, row):
    """The worker may have answered already; nothing behind the fault is read as a request."""
    _, wire = row
    port, raw = exchange(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + wire + NEXT)
    assert raw.count(b"HTTP/1.1 ") <= 1 and b" 404 " not in raw.split(b"\r\n")[0], raw
    server.httperr_for(port)


@pytest.mark.parametrize("row", SERVED, ids=[r[0] for r in SERVED])
def test_served_and_the_next_request_is_a_true_one(server, row):
    _, rest = row
    with server.connect() as conn:
        conn.send(HEAD + rest + NEXT.replace(b"/smuggled", b"/a.txt"))
        assert conn.read().status == 405
        assert conn.read().body == b"a"


@pytest.mark.parametrize("row", BOTH, ids=[r[0] for r in BOTH])
def test_length_and_chunked(server, row):
    _, rest = row
    _, raw = exchange(server, HEAD + rest + NEXT)
    assert raw.count(b"HTTP/1.1 ") == 1 and raw.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nConnection: close\r\n" in raw


def test_get_with_a_body_is_not_two_requests(server):
    with server.connect() as conn:
        conn.send(b"GET /a.txt HTTP/1.1\r\nHost: www.example.test\r\nContent-Length: %d\r\n\r\n" % len(NEXT) + NEXT
                  + b"GET /a.txt HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")
        assert conn.read().body == b"a" and conn.read().body == b"a"
        assert conn.ended()


def test_nothing_was_smuggled(server):
    server.get("/end-of-smuggling", host="www.example.test")
    server.w3c_for("/end-of-smuggling")
    assert not [r for r in read_w3c(server.drive) if "smuggled" in r["cs-uri-stem"]]
