"""The response cache through the whole server: what is kept, what never is, how soon changes show.

Whether an answer came from the cache is told by the server's own figures (candor_cache_hits_total). One
listener thread, so that the worker thread behind it counts every request.
"""
import os
import threading
import time

import pytest

from harness import Pool, Site, wait_until
from harness.client import build
from harness.server import replace_file
from harness.stopwatch import Stopwatch, within
from test_metrics import scrape, value
from test_queue import crash

PAGE = "x" * 1024
SECOND = 1.0
FILES = {"inetpub/wwwroot/a.txt": PAGE, "inetpub/wwwroot/index.html": "<p>start</p>",
         "inetpub/wwwroot/big.bin": "b" * 200_000, "inetpub/wwwroot/huge.bin": "h" * 300_000,
         "inetpub/wwwroot/empty.txt": "", "inetpub/wwwroot/sub/b.txt": "one"}


def start(servers, *sites, threads=1, **more):
    arguments = ("--metrics", "0") + (("--threads", str(threads)) if threads else ())
    return servers.sites(*(sites or (Site(),)), files={**FILES, **more.pop("files", {})},
                         arguments=arguments, **more)


@pytest.fixture(scope="module")
def server(module_servers):
    return start(module_servers)


def hits(server):
    return value(scrape(server), "candor_cache_hits_total")


def ask(server, target, n=1, headers=(), method="GET", site=None, host="localhost"):
    """n answers to one request, on one connection."""
    with server.connect(site) as conn:
        answers = []
        for _ in range(n):
            conn.send(build(method, target, headers, host=host))
            answers.append(conn.read(method))
        return answers


def is_cached(server, target, **more):
    """The answer to one request comes from the cache."""
    before = hits(server)
    answer = ask(server, target, **more)[0]
    return hits(server) == before + 1, answer


def heat(server, target, **more):
    """Asks until the cache has it."""
    def kept():
        ask(server, target, n=3, **more)
        return is_cached(server, target, **more)[0]
    wait_until(kept, f"{target} is cached")


def same(one, other):
    """Equal but for the time."""
    return (one.status, one.body, [h for h in one.headers if h[0].lower() != "date"]) == \
           (other.status, other.body, [h for h in other.headers if h[0].lower() != "date"])


# --- what is kept ---

def test_third_request_within_ten_seconds(server):
    replace_file(server.root / "third.txt", "third")
    before = hits(server)
    answers = ask(server, "/third.txt", n=3)
    assert hits(server) == before
    answers += ask(server, "/third.txt", n=5)
    assert hits(server) == before + 5
    assert all(same(a, answers[0]) for a in answers)
    assert answers[0].body == b"third"


@pytest.mark.parametrize("target, size, kept", [
    ("/a.txt", 1024, True), ("/big.bin", 200_000, True), ("/index.html", 12, True),
    ("/huge.bin", 300_000, False),               # more than UriMaxUriBytes
    ("/empty.txt", 0, False), ("/", 12, False),  # nothing, and a default document
])
def test_kept(server, target, size, kept):
    first = ask(server, target, n=4)[0]
    cached, answer = is_cached(server, target)
    assert cached == kept
    assert same(first, answer) and len(answer.body) == size


def test_head_and_conditions(server):
    heat(server, "/a.txt")
    _, page = is_cached(server, "/a.txt")
    etag, modified = page.get("ETag"), page.get("Last-Modified")
    cached, answer = is_cached(server, "/a.txt", method="HEAD")
    assert cached and answer.status == 200 and answer.get("Content-Length") == "1024"
    for headers, status in [((("If-None-Match", etag),), 304), ((("If-None-Match", '"other"'),), 200),
                            ((("If-Modified-Since", modified),), 304),
                            ((("If-Modified-Since", "Thu, 01 Jan 1970 00:00:10 GMT"),), 200),
                            ((("If-None-Match", '"other"'), ("If-Modified-Since", modified)), 200)]:
        cached, answer = is_cached(server, "/a.txt", headers=headers)
        assert cached and answer.status == status, headers
        if status == 304:
            assert answer.get("ETag") == etag and answer.get("Content-Type") is None
            assert answer.body == b"" and answer.get("Content-Length") is None


@pytest.mark.parametrize("headers, status", [
    ([("Range", "bytes=0-9")], 206),
    ([("If-Match", '"other"')], 412),
    ([("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:10 GMT")], 412),
    ([("Translate", "f")], 404),
    ([("Accept", "image/png")], 406),
    ([("Authorization", "Basic YTpi")], 200),
])
def test_requests_that_go_past_the_cache(server, headers, status):
    heat(server, "/a.txt")
    cached, answer = is_cached(server, "/a.txt", headers=headers)
    assert not cached and answer.status == status


@pytest.mark.parametrize("target, method, status", [
    ("/a.txt?x", "GET", 200), ("/a.txt?", "GET", 200), ("/%61.txt", "GET", 200), ("/a.txt", "TRACE", 501),
    ("/a.txt", "OPTIONS", 200),
])
def test_forms_that_go_past_the_cache(server, target, method, status):
    heat(server, "/a.txt")
    cached, answer = is_cached(server, target, method=method)
    assert not cached and answer.status == status


def test_hosts_and_sites_are_told_apart(servers):
    server = start(servers, Site(), Site(name="Other", id=2, folder="other"), files={"other/a.txt": "other"})
    heat(server, "/a.txt", site="Default Web Site", host="one")
    assert not is_cached(server, "/a.txt", site="Default Web Site", host="two")[0]
    cached, answer = is_cached(server, "/a.txt", site="Other", host="one")
    assert not cached and answer.body == b"other"
    heat(server, "/a.txt", site="Other", host="one")
    assert is_cached(server, "/a.txt", site="Other", host="one")[1].body == b"other"


def test_logged_like_any_other(servers):
    server = start(servers)
    began = time.monotonic()
    ask(server, "/a.txt", n=10)
    etag = ask(server, "/a.txt")[0].get("ETag")
    ask(server, "/a.txt", headers=[("If-None-Match", etag)], n=2)
    took = (time.monotonic() - began) * 1000
    rows = wait_until(lambda: (lambda r: r if len(r) >= 13 else None)(server.w3c()), "13 log lines")
    assert len(rows) == 13 and hits(server) == 10
    for row in rows[3:11]:
        assert [row[k] for k in ("cs-method", "cs-uri-stem", "cs-uri-query", "cs-username", "sc-status",
                                 "sc-substatus", "sc-win32-status")] == \
            ["GET", "/a.txt", "-", "-", "200", "0", "0"]
        assert int(row["time-taken"]) <= took
    assert {row["sc-status"] for row in rows[11:]} == {"304"}


# --- changes ---

def shows_within_a_second(server, target, good):
    """Keeps asking, as a browser that reloads would."""
    within(server, SECOND, lambda: good(ask(server, target)[0]), f"the new {target}")


def test_changed_file(servers):
    server = start(servers)
    heat(server, "/sub/b.txt")
    for text in ("two", "three", "four"):
        replace_file(server.root / "sub/b.txt", text)
        shows_within_a_second(server, "/sub/b.txt", lambda a, t=text: a.body == t.encode())
        heat(server, "/sub/b.txt")
    (server.root / "sub/b.txt").write_text("in place")
    shows_within_a_second(server, "/sub/b.txt", lambda a: a.body == b"in place")
    heat(server, "/sub/b.txt")
    (server.root / "sub/b.txt").unlink()
    shows_within_a_second(server, "/sub/b.txt", lambda a: a.status == 404)


def test_gone_although_nobody_asks(servers):
    """The entry goes by itself, not when the next request finds it to be old."""
    server = start(servers)
    heat(server, "/a.txt")
    assert value(scrape(server), "candor_cache_entries") == 1
    replace_file(server.root / "a.txt", "new")
    within(server, SECOND, lambda: value(scrape(server), "candor_cache_entries") == 0, "an empty cache")


def test_exchanged_folder_and_link(servers):
    server = start(servers)
    for release in ("v1", "v2"):
        (server.root / release / "deep").mkdir(parents=True)
        (server.root / release / "deep" / "x.txt").write_text(release)
    os.symlink("v1", server.root / "current")
    heat(server, "/current/deep/x.txt")
    os.symlink("v2", server.root / "next")
    os.replace(server.root / "next", server.root / "current")
    # Looked at once a second: a little more in all.
    within(server, 1.5, lambda: ask(server, "/current/deep/x.txt")[0].body == b"v2", "the new release")
    heat(server, "/v1/deep/x.txt")
    os.rename(server.root / "v1", server.root / "old")
    within(server, 1.5, lambda: ask(server, "/v1/deep/x.txt")[0].status == 404, "no v1")


def test_configuration(servers):
    server = start(servers)
    header = '<configuration><system.webServer><httpProtocol><customHeaders><add name="X-A" value="{}" />' \
             "</customHeaders></httpProtocol></system.webServer></configuration>"
    heat(server, "/sub/b.txt")
    for place in ("sub/web.config", "web.config"):
        (server.root / place).write_text(header.format(place))
        shows_within_a_second(server, "/sub/b.txt", lambda a, p=place: a.get("X-A") == p)
        heat(server, "/sub/b.txt")
        (server.root / place).unlink()
        shows_within_a_second(server, "/sub/b.txt", lambda a: a.get("X-A") is None)
        heat(server, "/sub/b.txt")
    server.config_path.write_text(server.config_path.read_text().replace(
        "<customHeaders><clear />", '<customHeaders><clear /><add name="X-A" value="server" />'))
    shows_within_a_second(server, "/sub/b.txt", lambda a: a.get("X-A") == "server")
    heat(server, "/sub/b.txt")


def test_worker_dies(servers):
    """Nobody watches the files of a dead worker: what it has offered goes with it."""
    server = start(servers, pools=[Pool("DefaultAppPool", inner='<failure rapidFailProtection="false" />')])
    server.tolerate_events("5009")
    heat(server, "/a.txt")
    crash(server)
    within(server, SECOND, lambda: value(scrape(server), "candor_cache_entries") == 0, "an empty cache")
    replace_file(server.root / "a.txt", "after")
    assert ask(server, "/a.txt")[0].body == b"after"
    heat(server, "/a.txt")
    assert is_cached(server, "/a.txt")[1].body == b"after"


def test_many_clients_while_the_file_changes(servers):
    """Nobody is ever given an older state than one that was given a second before."""
    server = start(servers, threads=None)
    path, stop, wrong = server.root / "a.txt", threading.Event(), []
    path.write_text("0")
    watch = Stopwatch(server, clients=False)
    written = [(0, -10.0, 0.0)]            # what, when, and how long all had waited for a processor until then

    def client():
        with server.connect() as conn:
            while not stop.is_set():
                asked = watch.wall
                conn.send(build("GET", "/a.txt"))
                seen = int(conn.read().body)
                newer = [(n, at, delay) for n, at, delay in list(written) if n > seen and at < asked - SECOND - 0.5]
                wrong.extend((seen, n) for n, at, delay in newer
                             if at < asked - SECOND - 0.5 - (watch.delay - delay))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    for n in range(1, 12):
        replace_file(path, str(n))
        written.append((n, watch.wall, watch.delay))
        time.sleep(0.35)
    stop.set()
    for thread in clients:
        thread.join()
    assert not wrong
    shows_within_a_second(server, "/a.txt", lambda answer: answer.body == b"11")
    assert hits(server) > 100


def test_expires(servers):
    profile = '<caching><profiles><add extension=".txt" kernelCachePolicy="CacheForTimePeriod" ' \
              'duration="00:00:01" /></profiles></caching>'
    server = start(servers, locations=at_site(profile))
    heat(server, "/a.txt")
    time.sleep(1.2)
    assert not is_cached(server, "/a.txt")[0]


# --- what never enters it: the rows of worker/cache_policy.c that configuration brings about ---

def at_site(xml):
    return f'<location path="Default Web Site"><system.webServer>{xml}</system.webServer></location>'


def security(xml):
    return at_site(f"<security>{xml}</security>")


EXCLUSIONS = {
    "caching off": dict(locations=at_site('<caching enabled="false" />')),
    "kernel caching off": dict(locations=at_site('<caching enableKernelCache="false" />')),
    "profile": dict(locations=at_site(
        '<caching><profiles><add extension=".txt" kernelCachePolicy="DisableCache" /></profiles></caching>')),
    "not hot": dict(locations=at_site('<serverRuntime frequentHitThreshold="50" />')),
    "client certificate": dict(locations=security('<access sslFlags="SslNegotiateCert" />')),
    "IP rules": dict(locations=security('<ipSecurity><add ipAddress="10.0.0.1" /></ipSecurity>')),
    "dynamic IP rules": dict(locations=security(
        '<dynamicIpSecurity><denyByRequestRate enabled="true" /></dynamicIpSecurity>')),
    "authorization": dict(locations=security(
        '<authorization><add accessType="Deny" users="?" verbs="HEAD" /></authorization>')),
    "header limits": dict(locations=security(
        '<requestFiltering><requestLimits><headerLimits><add header="Cookie" sizeLimit="10" />'
        "</headerLimits></requestLimits></requestFiltering>")),
    "rules about headers": dict(locations=security(
        '<requestFiltering><filteringRules><filteringRule name="x"><scanHeaders>'
        '<add requestHeader="Cookie" /></scanHeaders><denyStrings><add string="evil" /></denyStrings>'
        "</filteringRule></filteringRules></requestFiltering>")),
    "HEAD denied": dict(locations=security(
        '<requestFiltering><verbs><add verb="HEAD" allowed="false" /></verbs></requestFiltering>')),
    "remote clients denied": dict(access_policy="Read, Script, NoRemoteRead"),
    "tracing": dict(site_defaults='<traceFailedRequestsLogging enabled="true" />',
                    locations=at_site('<tracing><traceFailedRequests><add path="*" /></traceFailedRequests>'
                                      "</tracing>")),
    "no log": dict(locations=at_site('<httpLogging dontLog="true" />')),
    "selective log": dict(locations=at_site('<httpLogging selectiveLogging="LogError" />')),
    "log variable": dict(inner='<logFile><customFields><add logFieldName="x" sourceName="REMOTE_PORT" '
                               'sourceType="ServerVariable" /></customFields></logFile>'),
    "footer": dict(locations=at_site('<staticContent enableDocFooter="true" defaultDocFooter="x" />')),
    "no keep-alive": dict(locations=at_site('<httpProtocol allowKeepAlive="false" />')),
    "HEAD handler": dict(handlers='<add name="h" path="*" verb="HEAD" modules="ProtocolSupportModule" />'
                                  '<add name="s" path="*" verb="*" modules="StaticFileModule" '
                                  'resourceType="Either" requireAccess="Read" />'),
    "cookie": dict(custom_headers='<add name="Set-Cookie" value="a=b" />'),
}


@pytest.mark.parametrize("name", EXCLUSIONS)
def test_never_kept(servers, name):
    how = dict(EXCLUSIONS[name])
    server = start(servers, Site(inner=how.pop("inner", "")), **how)
    for _ in range(8):
        assert ask(server, "/a.txt")[0].status == 200
    found = scrape(server)
    assert value(found, "candor_cache_hits_total") == 0
    assert value(found, "candor_cache_entries") == 0


def test_rules_see_each_request(servers):
    """What the exclusion of header limits is for: a later request with a long Cookie is refused."""
    server = start(servers, **EXCLUSIONS["header limits"])
    ask(server, "/a.txt", n=5)
    assert ask(server, "/a.txt", headers=[("Cookie", "c" * 11)])[0].code == "404.10"


def test_variables_are_logged_for_each_request(servers):
    server = start(servers, Site(inner=EXCLUSIONS["log variable"]["inner"]))
    ports = []
    for _ in range(6):
        with server.connect() as conn:
            ports.append(str(conn.port))
            conn.send(build("GET", "/a.txt"))
            conn.read()
    rows = wait_until(lambda: (lambda r: r if len(r) >= 6 else None)(server.w3c()), "6 log lines")
    assert [row["x"] for row in rows] == ports
