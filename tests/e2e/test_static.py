"""Static files: StaticFileModule, DefaultDocumentModule, DirectoryListingModule, ProtocolSupportModule."""
import datetime
import email.utils
import os
import re

import pytest

from harness import Case, Outcomes, transport
from harness.client import build

OLD_NS = (0x01D3F891F38EBA20 - 116444736000000000) * 100     # the reference's worked example of an ETag
ETAG = '"20ba8ef391f8d31:0"'
LAST_MODIFIED = "Thu, 31 May 2018 03:46:26 GMT"
EARLIER = "Thu, 31 May 2018 03:46:25 GMT"
LATER = "Fri, 01 Jun 2018 00:00:00 GMT"
DATA = bytes(range(256)) * 4
CONFIG = '<configuration><system.webServer>{}</system.webServer></configuration>'

FILES = {
    "index.html": "<p>home</p>", "a.txt": DATA, "style.css": "p {}", "x.yyy": "odd", "noextension": "none",
    "MixedCase.TXT": "mixed", "Folder/Inner File.txt": "inner", "empty.txt": "", "empty/": None,
    "empty/placeholder.yyy": "x", ".secret.txt": "TOPSECRET", "sub/Default.htm": "first",
    "sub/index.html": "second", "é.txt": "accent", "100%.txt": "percent", "big.bin": b"0123456789" * 30000,
    "list/web.config": CONFIG.format('<directoryBrowse enabled="true" />'),
    "list/one.txt": "1", "list/two <&>.txt": "22", "list/child/": None, "list/child/x.txt": "", "list/.dot": "",
    "age/a.txt": "a", "age/web.config": CONFIG.format(
        '<staticContent><clientCache cacheControlMode="UseMaxAge" cacheControlMaxAge="00:10:00" '
        'cacheControlCustom="public" /></staticContent>'),
    "nocache/a.txt": "a", "nocache/web.config": CONFIG.format(
        '<staticContent><clientCache cacheControlMode="DisableCache" setEtag="false" /></staticContent>'),
    "expires/a.txt": "a", "expires/web.config": CONFIG.format(
        '<staticContent><clientCache cacheControlMode="UseExpires" httpExpires="Tue, 19 Jan 2038 03:14:07 GMT" />'
        '</staticContent>'),
    "mime/x.yyy": "odd", "mime/noextension": "none", "mime/web.config": CONFIG.format(
        '<staticContent><mimeMap fileExtension=".yyy" mimeType="application/x-odd" />'
        '<mimeMap fileExtension="." mimeType="text/x-none" /></staticContent>'),
    "nodocs/index.html": "x", "nodocs/web.config": CONFIG.format('<defaultDocument enabled="false" />'),
    "own/start.txt": "start", "own/web.config": CONFIG.format(
        '<defaultDocument><files><add value="start.txt" /></files></defaultDocument>'),
    "headers/a.txt": "a", "headers/web.config": CONFIG.format(
        '<httpProtocol><customHeaders><add name="X-Own" value="yes" /></customHeaders></httpProtocol>'),
}
ALLOW = ("Allow", "GET, HEAD, OPTIONS, TRACE")

CASES = [
    # plain files
    Case("file", "/a.txt", "200", text=DATA, win32=0, has=(
        ("Content-Type", "text/plain"), ("Content-Length", "1024"), ("Accept-Ranges", "bytes"),
        ("ETag", ETAG), ("Last-Modified", LAST_MODIFIED)), hasnt=("Connection", "Cache-Control")),
    Case("css", "/style.css", "200", has=(("Content-Type", "text/css"),)),
    Case("head", "/a.txt", "200", method="HEAD", text=b"", has=(("Content-Length", "1024"), ("ETag", ETAG))),
    Case("empty file", "/empty.txt", "200", has=(("Content-Length", "0"),)),
    Case("other letter case", "/mixedcase.txt", "200", text=b"mixed"),
    Case("other letter case, folder", "/FOLDER/INNER%20FILE.TXT", "200", text=b"inner"),
    Case("escaped name", "/Folder/Inner%20File.txt", "200", text=b"inner",
         expect={"cs-uri-stem": "/Folder/Inner+File.txt"}),
    Case("UTF-8 name", "/%C3%A9.txt", "200", text=b"accent", expect={"cs-uri-stem": "/é.txt"}),
    Case("percent in name", "/100%25.txt", "200", text=b"percent"),
    Case("query", "/a.txt?x=1", "200"),
    Case("big file", "/big.bin", "200", text=b"0123456789" * 30000),
    # default documents
    Case("root", "/", "200", text=b"<p>home</p>", has=(("Content-Type", "text/html"),)),
    Case("first in the list", "/sub/", "200", text=b"first"),
    Case("own list", "/own/", "200", text=b"start"),
    Case("default documents off", "/nodocs/", "403.14"),
    # directories
    Case("no listing", "/empty/", "403.14", win32=0),
    Case("listing", "/list/", "200", text=b"[To Parent Directory]"),
    # refusals
    Case("missing", "/nope.txt", "404.0", win32=2),
    Case("missing folder", "/nope/nope.txt", "404.0"),
    Case("missing, unknown type", "/nope.yyy", "404.0", win32=2),
    Case("file as folder", "/a.txt/x", "404.0"),
    Case("unknown type", "/x.yyy", "404.3", win32=50),
    Case("no extension", "/noextension", "404.3", win32=50),
    Case("type from web.config", "/mime/x.yyy", "200", has=(("Content-Type", "application/x-odd"),)),
    Case("type of no extension", "/mime/noextension", "200", has=(("Content-Type", "text/x-none"),)),
    Case("hidden file", "/.secret.txt", "404.9"),
    Case("web.config", "/list/web.config", "404.8"),
    Case("post", "/a.txt", "405.0", method="POST", body=b"x=1", win32=1, has=(ALLOW,)),
    Case("delete", "/a.txt", "405.0", method="DELETE", has=(ALLOW,)),
    Case("unknown verb", "/a.txt", "405.0", method="FOO", has=(ALLOW,)),
    Case("post to unknown type", "/x.yyy", "405.0", method="POST", body=b""),
    Case("post to folder without slash", "/sub", "405.0", method="POST", body=b""),
    Case("not acceptable", "/a.txt", "406.0", headers={"Accept": "image/png"}),
    Case("acceptable by range", "/a.txt", "200", headers={"Accept": "image/png, text/*;q=0.5"}),
    Case("acceptable exactly", "/a.txt", "200", headers={"Accept": "text/plain"}),
    Case("acceptable at all", "/a.txt", "200", headers={"Accept": "image/png, */*"}),
    Case("translate", "/a.txt", "404.16", headers={"Translate": "f"}),
    Case("options", "/a.txt", "200", method="OPTIONS", has=(
        ("Allow", "OPTIONS, TRACE, GET, HEAD, POST"), ("Public", "OPTIONS, TRACE, GET, HEAD, POST"),
        ("Content-Length", "0"))),
    Case("trace", "/a.txt", "501.0", method="TRACE"),
    # conditions
    Case("etag equal", "/a.txt", "304", headers={"If-None-Match": ETAG}, has=(("ETag", ETAG),)),
    Case("etag in a list", "/a.txt", "304", headers={"If-None-Match": f'"x", {ETAG}'}),
    Case("etag weak", "/a.txt", "304", headers={"If-None-Match": "W/" + ETAG}),
    Case("etag star", "/a.txt", "304", headers={"If-None-Match": "*"}),
    Case("etag other", "/a.txt", "200", headers={"If-None-Match": '"x"'}),
    Case("etag other, date equal", "/a.txt", "200",
         headers={"If-None-Match": '"x"', "If-Modified-Since": LAST_MODIFIED}),
    Case("since the same", "/a.txt", "304", headers={"If-Modified-Since": LAST_MODIFIED}),
    Case("since later", "/a.txt", "304", headers={"If-Modified-Since": LATER}),
    Case("since earlier", "/a.txt", "200", headers={"If-Modified-Since": EARLIER}),
    Case("since nonsense", "/a.txt", "200", headers={"If-Modified-Since": "yesterday"}),
    Case("since the future", "/a.txt", "200", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    Case("since with length", "/a.txt", "304", headers={"If-Modified-Since": LAST_MODIFIED + "; length=1024"}),
    Case("since, head", "/a.txt", "304", method="HEAD", headers={"If-Modified-Since": LAST_MODIFIED}),
    Case("match other", "/a.txt", "412.0", headers={"If-Match": '"x"'}),
    Case("match equal", "/a.txt", "200", headers={"If-Match": ETAG}),
    Case("match star", "/a.txt", "200", headers={"If-Match": "*"}),
    Case("unmodified since earlier", "/a.txt", "412.0", headers={"If-Unmodified-Since": EARLIER}),
    Case("unmodified since later", "/a.txt", "200", headers={"If-Unmodified-Since": LATER}),
    # ranges
    Case("first ten", "/a.txt", "206", headers={"Range": "bytes=0-9"}, text=DATA[:10],
         has=(("Content-Range", "bytes 0-9/1024"), ("Content-Length", "10"))),
    Case("from 1000", "/a.txt", "206", headers={"Range": "bytes=1000-"}, text=DATA[1000:],
         has=(("Content-Range", "bytes 1000-1023/1024"),)),
    Case("last 24", "/a.txt", "206", headers={"Range": "bytes=-24"}, text=DATA[-24:],
         has=(("Content-Range", "bytes 1000-1023/1024"),)),
    Case("last 5000", "/a.txt", "206", headers={"Range": "bytes=-5000"}, text=DATA,
         has=(("Content-Range", "bytes 0-1023/1024"),)),
    Case("end behind the file", "/a.txt", "206", headers={"Range": "bytes=1020-9999"}, text=DATA[1020:],
         has=(("Content-Range", "bytes 1020-1023/1024"),)),
    Case("start behind the file", "/a.txt", "416", headers={"Range": "bytes=1024-"},
         has=(("Content-Range", "bytes */1024"),)),
    Case("last none", "/a.txt", "416", headers={"Range": "bytes=-0"}, has=(("Content-Range", "bytes */1024"),)),
    Case("range backwards", "/a.txt", "200", headers={"Range": "bytes=9-0"}, text=DATA),
    Case("range nonsense", "/a.txt", "200", headers={"Range": "bytes=x"}, text=DATA),
    Case("range other unit", "/a.txt", "200", headers={"Range": "lines=0-1"}, text=DATA),
    Case("range, if-range equal", "/a.txt", "206", headers={"Range": "bytes=0-9", "If-Range": ETAG}),
    Case("range, if-range other", "/a.txt", "200", headers={"Range": "bytes=0-9", "If-Range": '"x"'}, text=DATA),
    Case("range, if-range date", "/a.txt", "206", headers={"Range": "bytes=0-9", "If-Range": LAST_MODIFIED}),
    Case("range, if-range old date", "/a.txt", "200", headers={"Range": "bytes=0-9", "If-Range": EARLIER}),
    Case("range and 304", "/a.txt", "304", headers={"Range": "bytes=0-9", "If-None-Match": ETAG}),
    # settings of a folder
    Case("max-age", "/age/a.txt", "200", has=(("Cache-Control", "public,max-age=600"),)),
    Case("no-cache", "/nocache/a.txt", "200", has=(("Cache-Control", "no-cache"),), hasnt=("ETag",)),
    Case("expires", "/expires/a.txt", "200", has=(("Expires", "Tue, 19 Jan 2038 03:14:07 GMT"),)),
    Case("custom header", "/headers/a.txt", "200", has=(("X-Own", "yes"),)),
    Case("custom header on an error", "/headers/nope.txt", "404.0", has=(("X-Own", "yes"),)),
]


def age(root):
    """Gives every file the worked example's time."""
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(os.path.join(folder, name), ns=(OLD_NS, OLD_NS))


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers(files=FILES, start=False)
    age(server.root)
    return server.start()


@pytest.fixture(scope="module", params=transport.TRANSPORTS)
def outcomes(request, server, module_servers):
    """The same table over every version of HTTP and with TLS."""
    if request.param != transport.PLAIN:
        server = module_servers(files=FILES, start=False, **transport.options(request.param))
        age(server.root)
        server.start()
    return Outcomes(server, CASES, request.param)


@pytest.mark.smoke
@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_case(outcomes, case):
    outcomes.judge(case)


def test_header_order(server):
    answer = server.get("/a.txt")
    assert answer.names == ["Content-Type", "Last-Modified", "Accept-Ranges", "ETag", "Server", "Date",
                            "Content-Length"]
    assert abs(email.utils.parsedate_to_datetime(answer.get("Date")).timestamp()
               - datetime.datetime.now().timestamp()) < 5


def test_head_and_get_agree(server):
    one, two = server.get("/a.txt"), server.request("HEAD", "/a.txt")
    assert [h for h in one.headers if h[0] != "Date"] == [h for h in two.headers if h[0] != "Date"]


def test_not_modified_has_no_entity(server):
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt", {"If-None-Match": ETAG}) + build("GET", "/style.css"))
        first, second = conn.read(), conn.read()
    assert first.status == 304 and first.get("Content-Length") is None and first.get("Content-Type") is None
    assert first.get("Last-Modified") == LAST_MODIFIED and first.get("Accept-Ranges") == "bytes"
    assert second.body == b"p {}"


@pytest.mark.parametrize("path", ["/sub", "/SUB", "/Folder"])
def test_courtesy_redirect(server, path):
    answer = server.get(path + "?a=b&c", host="www.example.test:81")
    where = f"http://www.example.test:81{path}/?a=b&c"
    assert answer.status == 301 and answer.get("Location") == where
    assert answer.get("Content-Type") == "text/html; charset=UTF-8"
    shown = where.replace("&", "&amp;")
    assert answer.body.decode() in [
        "<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>This document may be found "
        f'<a HREF="{link}">here</a></body>' for link in (where, shown)]


def test_redirect_target_cannot_leave_the_host(server):
    """//other.test/.. must not become a Location for another host."""
    answer = server.get("//sub")
    assert answer.get("Location", "").startswith(f"http://127.0.0.1:{server.port}/")


def test_several_ranges(server):
    answer = server.get("/a.txt", {"Range": "bytes=0-1,10-13,-2"})
    assert answer.status == 206
    mark = re.fullmatch(r'multipart/byteranges; boundary="?(.+?)"?', answer.get("Content-Type"))[1]
    parts = answer.body.split(b"--" + mark.encode())
    assert parts[0].strip() == b"" and parts[-1].startswith(b"--")
    found = []
    for part in parts[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        assert b"Content-Type: text/plain" in head
        found.append((re.search(rb"Content-Range: bytes (\S+)", head)[1], body[:-2]))
    assert found == [(b"0-1/1024", DATA[:2]), (b"10-13/1024", DATA[10:14]), (b"1022-1023/1024", DATA[-2:])]
    assert answer.framing == "length"


def test_one_satisfiable_range_of_two(server):
    answer = server.get("/a.txt", {"Range": "bytes=5000-6000,0-3"})
    assert answer.status == 206 and DATA[:4] in answer.body and answer.get("Content-Length")


def test_thousands_of_ranges_cost_nothing(server):
    """Overlapping ranges may not be turned into an answer larger than the file many times over."""
    answer = server.get("/big.bin", {"Range": "bytes=" + ",".join("0-" for _ in range(1500))})
    assert answer.status in (200, 206, 416) and len(answer.body) < 2 * 300000


def test_listing(server):
    answer = server.get("/list/", host="www.example.test")
    text = answer.text
    assert answer.get("Content-Type") == "text/html; charset=UTF-8"
    assert text.startswith("<html><head><title>www.example.test - /list/</title></head><body>"
                           "<H1>www.example.test - /list/</H1><hr>\r\n\r\n<pre>"
                           '<A HREF="/">[To Parent Directory]</A><br><br>')
    assert text.endswith("</pre><hr></body></html>")
    stamp = r"[ \d]?\d/[ \d]?\d/\d{4} +\d?\d:\d\d [AP]M +"
    assert re.search(stamp + r'&lt;dir&gt; <A HREF="/list/child/">child</A><br>', text)
    assert re.search(stamp + r'1 <A HREF="/list/one.txt">one.txt</A><br>', text)
    assert ".dot" not in text
    assert re.search(r'2 <A HREF="/list/two%20(%3C|<|&lt;)(%26|&amp;)(%3E|>|&gt;).txt">two &lt;&amp;&gt;.txt</A>', text)


def test_etag_follows_the_file(server):
    path = server.root / "changing.txt"
    path.write_text("one")
    os.utime(path, ns=(10 ** 18, 10 ** 18))
    first = server.get("/changing.txt")
    path.write_text("two more")
    os.utime(path, ns=(10 ** 18 + 10 ** 11, 10 ** 18 + 10 ** 11))
    second = server.get("/changing.txt", {"If-None-Match": first.get("ETag")})
    assert (first.status, first.body, second.status, second.body) == (200, b"one", 200, b"two more")
    filetime = (10 ** 18 + 10 ** 11) // 100 + 116444736000000000
    assert second.get("ETag") == '"' + "".join(f"{b:x}" for b in filetime.to_bytes(8, "little")) + ':0"'


def test_deleted_file_is_gone_at_once(server):
    path = server.root / "soon-gone.txt"
    path.write_text("x")
    assert server.get("/soon-gone.txt").status == 200
    path.unlink()
    assert server.get("/soon-gone.txt").status == 404


def test_new_file_is_found_after_a_404(server):
    assert server.get("/later.txt").status == 404
    (server.root / "later.txt").write_text("now")
    assert server.get("/later.txt").body == b"now"


def test_exact_name_wins_over_other_letter_case(server):
    (server.root / "same.txt").write_text("lower")
    (server.root / "SAME.txt").write_text("upper")
    assert server.get("/same.txt").body == b"lower"
    assert server.get("/SAME.txt").body == b"upper"


def test_unreadable_file(server):
    path = server.root / "locked.txt"
    path.write_text("TOPSECRET")
    path.chmod(0)
    answer = server.get("/locked.txt")
    assert (answer.code, b"TOPSECRET" in answer.body) == ("401.3", False)
    assert server.w3c_for("/locked.txt")["sc-win32-status"] == "5"


def test_file_that_shrinks_while_it_is_sent(server):
    """The promised length can't be kept: the connection must end rather than be refilled."""
    path = server.root / "shrinking.bin"
    path.write_bytes(b"x" * 20_000_000)
    with server.connect(receive_buffer=4096) as conn:
        conn.send(build("GET", "/shrinking.bin"))
        head = conn.read_head()
        assert head.get("Content-Length") == "20000000"
        os.truncate(path, 10)
        received = len(conn.pending)
        try:
            received = len(conn.read_to_end())
        except ConnectionResetError:
            pass
        assert received < 20_000_000
    server.tolerate("Connection_Dropped")


def test_slow_reader_gets_every_byte(server):
    body = os.urandom(3_000_000)
    (server.root / "slow.bin").write_bytes(body)
    with server.connect(receive_buffer=4096) as conn:
        conn.send(build("GET", "/slow.bin"))
        assert conn.read().body == body
