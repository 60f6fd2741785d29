"""TLS: which certificate answers where, renewal, stores, versions, client programs."""
import contextlib
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from harness import Site
from harness.server import free_port, wait_until
from harness.logs import read_events, read_w3c
from harness.stopwatch import within
from harness.tls import connect, context, file_of, get, https, openssl, put, reg, refused, serial, served_serial, thumbprint

WITHIN = 5.0 if "asan" in os.environ.get("CANDOR_BIN", "") else 3.0


def events(server, number):
    return [e for e in read_events(server.drive) if e.get("id") == number]


# --- one site ---

@pytest.fixture(scope="module")
def simple(module_servers, authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("simple")
    port = free_port()
    put(folder / "site.pem", authority.pem("localhost"))
    server = module_servers.sites(
        https(port, more=file_of(folder / "site.pem")),
        files={"inetpub/wwwroot/a.txt": "some text", "inetpub/wwwroot/big.bin": os.urandom(3_000_000)})
    server.tolerate("Timer_ConnectionIdle", "Client_Reset")
    server.tolerate_events("Schannel")
    server.https = port
    return server


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_over_tls(simple, authority, version):
    with connect(simple.https, "localhost", context(authority, version)) as conn:
        for _ in range(3):
            assert get(conn) == (200, b"some text")
        big = (simple.drive / "inetpub/wwwroot/big.bin").read_bytes()
        assert get(conn, "/big.bin") == (200, big)
        assert get(conn, "/nothing")[0] == 404
    assert wait_until(lambda: [r for r in read_w3c(simple.drive) if r["cs-uri-stem"] == "/big.bin"], "the log line")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_on_any_thread(simple, version):
    ctx = context(version=version)
    with connect(simple.https, "localhost", ctx) as conn:
        get(conn)
        session = conn.session
    for _ in range(6):
        with connect(simple.https, "localhost", ctx, session) as conn:
            assert get(conn) == (200, b"some text")
            assert conn.session_reused


def test_a_response_that_ends_with_the_connection_says_so(simple):
    with connect(simple.https) as conn:
        assert get(conn, close=True)[0] == 200
        assert conn.recv(1) == b""            # close_notify: else this raises


def test_curl_speaks_both(simple, authority):
    for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
        out = subprocess.run(["curl", "-s", "--cacert", authority.cert, "--resolve", f"localhost:{simple.https}:127.0.0.1",
                              option, "-w", " %{http_version} %{http_code}", f"https://localhost:{simple.https}/a.txt"],
                             capture_output=True, timeout=30, check=True).stdout.decode()
        assert out == f"some text {version} 200"


@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
@pytest.mark.parametrize("header", ["Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"])
def test_curl_gets_the_answer_to_an_upload_that_is_refused(simple, tmp_path, option, header):
    (tmp_path / "upload.bin").write_bytes(bytes(8_000_000))
    for _ in range(3):
        out = subprocess.run(["curl", "-sk", option, "-H", header, "--data-binary", f"@{tmp_path}/upload.bin", "-o", "/dev/null",
                              "-w", "%{http_code}", f"https://localhost:{simple.https}/a.txt"],
                             capture_output=True, timeout=30)
        assert (out.returncode, out.stdout) == (0, b"405"), out.stderr


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="no gnutls-cli")
def test_gnutls(simple, authority):
    out = subprocess.run(["gnutls-cli", "--x509cafile", authority.cert, "-p", str(simple.https), "--sni-hostname=localhost",
                          "--verify-hostname=localhost", "127.0.0.1"],
                         input=b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                         capture_output=True, timeout=30).stdout.decode()
    assert "The certificate is trusted" in out and "some text" in out


def test_old_versions_are_refused(simple):
    ctx = context()
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv1_1
    assert refused(simple.https, ctx=ctx)
    assert refused(simple.https, ctx=context(alpn=["gopher"]))


def test_plain_http_on_a_tls_port_is_closed(simple):
    with socket.create_connection(("127.0.0.1", simple.https), timeout=60) as conn:
        conn.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not conn.recv(100).startswith(b"HTTP/")


# --- handshakes that fail ---

def knock(port, data=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as conn:
        conn.sendall(data)
        if data:
            with contextlib.suppress(ConnectionError):
                while conn.recv(1000):
                    pass


def old_version():
    ctx = context()
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv1_1
    return ctx


def old_cipher():
    ctx = context(version=ssl.TLSVersion.TLSv1_2)
    ctx.set_ciphers("ECDHE-ECDSA-AES128-SHA:AES128-SHA")
    return ctx


FAILURES = {                              # cause: how a client brings it about, the event, words of its text
    "closed": (lambda port, other: knock(port), None, ()),
    "not_tls": (lambda port, other: knock(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 36888, ("http request",)),
    "version": (lambda port, other: refused(port, "one.test", old_version()), 36874, ("host one.test", "unsupported protocol")),
    "cipher": (lambda port, other: refused(port, "one.test", old_cipher()), 36874, ("host one.test", "no shared cipher")),
    "alpn": (lambda port, other: refused(port, "one.test", context(alpn=["gopher"])), 36888, ("alert 120",)),
    "certificate": (lambda port, other: refused(port, "three.test"), 36888, ("host three.test", "alert 112", "no certificate")),
    "refused": (lambda port, other: refused(port, "one.test", context(other, ssl.TLSVersion.TLSv1_3)), 36887, ("alert 48",)),
    "timeout": (lambda port, other: knock(port, b"\x16\x03\x01"), None, ()),
}


@pytest.mark.parametrize("cause", FAILURES)
def test_failed_handshakes_are_counted_and_told(servers, authority, tmp_path_factory, tmp_path, cause):
    """The client sees that it has no connection; here stands why. One event a minute of a kind: a client, or all
    who do not trust a certificate, can fail without end."""
    fail, number, words = FAILURES[cause]
    port = free_port()
    put(tmp_path / "one.pem", authority.pem("one.test"))
    server = servers.sites(https(port, "one.test", 1, file_of(tmp_path / "one.pem"), folder="one"),
                           files={"one/a.txt": "one"}, arguments=["--metrics", "0"],
                           web_limits='headerWaitTimeout="00:00:03"' if cause == "timeout" else "")
    server.tolerate("Timer_ConnectionIdle")
    server.tolerate_events("Schannel")
    where = server.wait_line(r"^candor: metrics on http://([0-9.]+):([0-9]+)/")

    def counters():
        with socket.create_connection((where[1], int(where[2])), 10) as conn:
            conn.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
        return {(m[1], m[2]): int(m[3])
                for m in re.finditer(r'^candor_tls_handshake(s|_failures)_total\{\w+="(\w+)"\} (\d+)$', text, re.M)}
    with connect(port, "one.test") as conn:
        assert get(conn, host="one.test") == (200, b"one")
    stranger = type(authority)(tmp_path_factory.mktemp("stranger"))
    for i in range(2):
        fail(port, stranger)
    wait_until(lambda: counters()["_failures", cause] == 2, lambda: f"two failures: {counters()}")
    found = counters()
    assert {k: v for k, v in found.items() if v} == {("s", "ok"): found["s", "ok"], ("s", "failed"): 2,
                                                     ("_failures", cause): 2}
    if number:
        server.wait_event(str(number))
    told = [e for e in read_events(server.drive) if e["source"] == "Schannel"]
    assert [e["id"] for e in told] == ([number] if number else [])
    for word in words:
        assert word in told[0]["text"], told


# --- which certificate ---

def test_names_choose_certificates(servers, authority, tmp_path):
    port = free_port()
    pems = {name: authority.pem(name) for name in ("one.test", "two.test", "*.star.test")}
    for name, pem in pems.items():
        put(tmp_path / f"{name}.pem", pem)
    server = servers.sites(
        https(port, "one.test", 1, file_of(tmp_path / "one.test.pem"), folder="one"),
        https(port, "two.test", 1, file_of(tmp_path / "two.test.pem"), folder="two", id=2, name="Two"),
        https(port, "*.star.test", 1, file_of(tmp_path / "*.star.test.pem"), folder="two", id=3, name="Three"),
        files={"one/a.txt": "one", "two/a.txt": "two"})
    server.tolerate_events("Schannel")
    for name, wanted in (("one.test", "one.test"), ("TWO.test", "two.test"), ("a.star.test", "*.star.test")):
        assert served_serial(port, name) == serial(pems[wanted]), name
    assert refused(port, "three.test")
    assert refused(port)
    with connect(port, "one.test") as conn:
        assert get(conn, host="one.test") == (200, b"one")
        assert get(conn, host="two.test") == (200, b"two")      # the Host chooses the site
    server.tolerate("Timer_ConnectionIdle")


def test_flags_of_a_binding(servers, authority, tmp_path):
    put(tmp_path / "x.pem", authority.pem("localhost"))
    ports = {flags: free_port() for flags in (0, 4, 32)}
    servers.sites(*[https(port, flags=flags, more=file_of(tmp_path / "x.pem"), id=port, name=f"s{flags}")
                    for flags, port in ports.items()], files={"inetpub/wwwroot/a.txt": "x"})

    def agreed(flags, **more):
        with connect(ports[flags], ctx=context(alpn=["h2", "http/1.1"], **more)) as conn:
            return conn.selected_alpn_protocol(), conn.version()

    assert agreed(0) == ("h2", "TLSv1.3")
    assert agreed(4) == ("http/1.1", "TLSv1.3")
    assert agreed(32) == ("h2", "TLSv1.2")


def test_the_registry_names_certificates_by_thumbprint(servers, authority):
    ports = [free_port(), free_port()]
    first, second, third = (authority.make(n) for n in ("first.test", "second.test", "third.test"))
    files = {"certs/MY/whatever": authority.pfx(first, legacy=True), "certs/MY/second.cer": second[0].read_text(),
             "certs/MY/second.key": second[1].read_text(), "certs/WebHosting/x.pem": third[0].read_text() + third[1].read_text(),
             "inetpub/wwwroot/a.txt": "x"}
    server = servers.sites(
        https(ports[0]), https(ports[1], "second.test", 1, id=2, name="Two"), https(ports[1], "third.test", 1, id=3, name="Three"),
        files=files, start=False, reg=reg({
            rf"SslBindingInfo\127.0.0.1:{ports[0]}": {"SslCertHash": thumbprint(first[0])},
            rf"SslSniBindingInfo\second.test:{ports[1]}": {"SslCertHash": thumbprint(second[0]), "SslCertStoreName": "MY"},
            rf"SslSniBindingInfo\third.test:{ports[1]}": {"SslCertHash": thumbprint(third[0]), "SslCertStoreName": "WebHosting"}}))
    for path in (server.drive / "certs").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    server.start()
    assert served_serial(ports[0]) == serial(first[0].read_text())
    assert served_serial(ports[1], "second.test") == serial(second[0].read_text())
    assert served_serial(ports[1], "third.test") == serial(third[0].read_text())


def test_the_central_store(servers, authority):
    port = free_port()
    pems = {name: authority.pem(name) for name in ("one.test", "*.star.test", "late.test")}
    server = servers.sites(https(port, flags=2, more='certificatePassword="secret"'), start=False,
                           files={"inetpub/wwwroot/a.txt": "x"})
    store = server.drive / "certs/central"
    put(store / "one.test.pem", pems["one.test"])
    put(store / "_.star.test.pem", pems["*.star.test"])
    put(store / "broken.test.pem", "nothing that could be read")
    pair = authority.make("pfx.test")
    put(store / "PFX.test.pfx", authority.pfx(pair, "secret", legacy=True))
    server.tolerate_events("broken.test", "locked.test", "Schannel")
    server.start()
    assert served_serial(port, "one.test") == serial(pems["one.test"])
    assert served_serial(port, "any.star.test") == serial(pems["*.star.test"])
    assert served_serial(port, "pfx.test") == serial(pair[0].read_text())
    for name in ("late.test", "broken.test", "etc/one.test", None):
        assert refused(port, name)
    assert events(server, 1040)
    put(store / "late.test.pem", pems["late.test"])
    within(server, WITHIN, lambda: not refused(port, "late.test"), "a file put into the store")
    assert served_serial(port, "late.test") == serial(pems["late.test"])
    fresh = authority.pem("one.test")
    put(store / "one.test.pem", fresh)
    within(server, WITHIN, lambda: served_serial(port, "one.test") == serial(fresh), "a renewed file")
    (store / "one.test.pem").unlink()
    within(server, WITHIN, lambda: refused(port, "one.test"), "a removed file")
    with connect(port, "late.test") as conn:
        assert get(conn, host="late.test") == (200, b"x")


def test_the_central_store_beside_a_certificate_for_all_addresses(servers, authority, tmp_path):
    """As IIS Manager leaves it: the first site without SNI, the others by the central store."""
    port = free_port()
    put(tmp_path / "any.pem", authority.pem("any.test"))
    pair = authority.make("one.test")
    every = Site(protocol="https", bindings=[f"*:{port}:"], binding_attributes=file_of(tmp_path / "any.pem"))
    server = servers.sites(every, https(port, "two.test", 3, id=2, name="Two"),
                           https(port, "one.test", 3, 'certificatePassword="secret"', id=3, name="Three"), start=False,
                           files={"inetpub/wwwroot/a.txt": "x"})
    put(server.drive / "certs/central/one.test.pfx", authority.pfx(pair, "secret"))
    server.start()
    assert served_serial(port, "one.test") == serial(pair[0].read_text())
    assert served_serial(port, "else.test") == serial((tmp_path / "any.pem").read_text())


def test_a_store_with_a_file_that_does_not_open_says_so(servers, authority):
    port = free_port()
    pair = authority.make("first.test")
    server = servers.sites(https(port), start=False, files={"inetpub/wwwroot/a.txt": "x"}, reg=reg({
        rf"SslBindingInfo\127.0.0.1:{port}": {"SslCertHash": thumbprint(pair[0])}}))
    put(server.drive / "certs/MY/my export.pfx", authority.pfx(pair, "secret"))
    server.tolerate_events("my export.pfx", "cannot be used", "Schannel")
    server.start()
    text = events(server, 1040)[0]["text"]
    assert "/MY/my export.pfx: its password is missing or wrong; give it as certificatePassword" in text
    config = server.config_path.read_text()
    server.config_path.write_text(config.replace("<binding ", '<binding certificatePassword="secret" '))
    within(server, WITHIN, lambda: not refused(port), "the password")
    assert served_serial(port) == serial(pair[0].read_text())


# --- renewal and faults ---

def test_renewal_under_load_drops_nothing(servers, authority, tmp_path):
    port = free_port()
    path = tmp_path / "site.pem"
    put(path, authority.pem("localhost"))
    server = servers.sites(https(port, more=file_of(path)), files={"inetpub/wwwroot/a.txt": "x"})
    stop, failures, done = threading.Event(), [], [0, 0]

    def keep_alive():
        with connect(port) as conn:
            while not stop.is_set():
                assert get(conn) == (200, b"x")
                done[0] += 1

    def one_each():
        while not stop.is_set():
            with connect(port) as conn:
                assert get(conn, close=True) == (200, b"x")
                done[1] += 1

    def guard(work):
        try:
            work()
        except Exception as error:    # noqa: BLE001 - told by the test
            failures.append(repr(error))

    threads = [threading.Thread(target=guard, args=(work,)) for work in (keep_alive, keep_alive, one_each, one_each)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            fresh = authority.pem("localhost")
            put(path, fresh)
            within(server, WITHIN, lambda: served_serial(port) == serial(fresh), "the renewed certificate")
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failures
    assert min(done) > 10


def test_a_key_for_everybody_is_refused_until_it_is_not(servers, authority, tmp_path):
    port = free_port()
    path = tmp_path / "site.pem"
    put(path, authority.pem("localhost"), 0o644)
    server = servers.sites(https(port, more=file_of(path)), start=False)
    server.tolerate_events("every user of this machine", r"127.0.0.1:\d+: \(site", "Schannel")
    server.start()
    server.wait_line(r"site\.pem: every user of this machine may read")
    assert refused(port)
    assert events(server, 1040) and events(server, 15021)
    path.chmod(0o600)
    within(server, WITHIN, lambda: not refused(port), "the key after chmod")


@pytest.mark.parametrize("fault", ["no key", "other key", "nothing", "gone", "expired", "short"])
def test_a_bad_certificate_never_replaces_a_good_one(servers, authority, tmp_path, fault):
    port = free_port()
    path = tmp_path / "site.pem"
    good = authority.pem("localhost")
    put(path, good)
    server = servers.sites(https(port, more=file_of(path)))
    server.tolerate_events("site.pem")
    bad = {"no key": lambda: authority.make("localhost")[0].read_text(), "nothing": lambda: "",
           "other key": lambda: authority.make("localhost")[0].read_text() + authority.make("localhost")[1].read_text(),
           "expired": lambda: authority.pem("localhost", days=-1), "short": lambda: authority.pem("localhost", rsa=1024),
           "gone": None}[fault]
    if bad:
        put(path, bad())
    else:
        path.unlink()
    text = str(within(server, WITHIN, lambda: events(server, 1041), "the event"))
    assert "site.pem" in text
    assert served_serial(port) == serial(good)
    fresh = authority.pem("localhost")
    put(path, fresh)
    within(server, WITHIN, lambda: served_serial(port) == serial(fresh), "the good one after all")
    assert events(server, 1042)


def test_a_password_and_a_separate_key(servers, authority, tmp_path):
    ports = [free_port(), free_port()]
    cert, key = authority.make("localhost")
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x&y", "-out", locked)
    locked.chmod(0o600)
    put(tmp_path / "a.pfx", authority.pfx((cert, key), "x&y"))
    servers.sites(
        https(ports[0], more=f'certificateFile="{cert}" certificateKeyFile="{locked}" certificatePassword="x&amp;y"'),
        https(ports[1], more=f'certificateFile="{tmp_path}/a.pfx" certificatePassword="x&amp;y"', id=2, name="Two"))
    for port in ports:
        assert served_serial(port) == serial(cert.read_text())


class Responder:
    """An authority's OCSP service for every certificate that it has made so far."""

    def __init__(self, authority, revoked=(), redirects_to=None):
        self.index = authority.folder / "index.txt"
        responder, self.asked = self, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = self.rfile.read(int(self.headers["Content-Length"]))
                responder.asked += 1
                if redirects_to:
                    self.send_response(302)
                    self.send_header("Location", redirects_to)
                    self.end_headers()
                    return
                answer = responder.answer(authority, question)
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.revoked = revoked
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/some/path"

    def answer(self, authority, question):
        self.index.write_text("".join(
            f"{'R' if n in self.revoked else 'V'}\t400101000000Z\t{'260101000000Z' if n in self.revoked else ''}\t{100 + n:02X}\tunknown\t/CN=x{n}\n"
            for n in range(1, authority.count + 1)))
        asked, answered = authority.folder / "question.der", authority.folder / "answer.der"
        asked.write_bytes(question)
        openssl("ocsp", "-index", self.index, "-CA", authority.cert, "-rsigner", authority.cert, "-rkey", authority.key,
                "-reqin", asked, "-respout", answered, "-nmin", "60")
        return answered.read_bytes()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def staple(port):
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-status"], input=b"", timeout=30,
                         capture_output=True).stdout.decode()
    return "Cert Status: good" in out


def with_ocsp(authority, folder, url):
    cert, key = authority.make("localhost", ocsp=url)
    put(folder / "site.pem", cert.read_text() + key.read_text() + authority.cert.read_text())
    return folder / "site.pem"


def test_ocsp_responses_are_stapled(servers, authority, tmp_path):
    ports = [free_port(), free_port()]
    with Responder(authority) as responder:
        path = with_ocsp(authority, tmp_path, responder.url)
        servers.sites(https(ports[0], more=file_of(path)), https(ports[1], flags=8, more=file_of(path), id=2, name="Two"))
        wait_until(lambda: staple(ports[0]), "a staple")
        assert not staple(ports[1])
    assert staple(ports[0])        # the responder has gone, its answer holds
    assert responder.asked == 1


def test_a_revoked_certificate_is_told(servers, authority, tmp_path):
    port = free_port()
    with Responder(authority, revoked=[authority.count + 1]) as responder:
        server = servers.sites(https(port, more=file_of(with_ocsp(authority, tmp_path, responder.url))))
        server.tolerate_events("says that the certificate is revoked")
        wait_until(lambda: events(server, 1044), "the event")
        assert not staple(port)


def test_an_authority_that_points_elsewhere_is_not_followed(servers, authority, tmp_path):
    port = free_port()
    with Responder(authority) as elsewhere, Responder(authority, redirects_to=elsewhere.url) as responder:
        server = servers.sites(https(port, more=file_of(with_ocsp(authority, tmp_path, responder.url))))
        server.tolerate_events("OCSP response")
        wait_until(lambda: events(server, 1044), "the event")
        assert responder.asked and not elsewhere.asked


def test_an_authority_that_is_away_costs_nothing(servers, authority, tmp_path):
    port = free_port()
    path = with_ocsp(authority, tmp_path, f"http://127.0.0.1:{free_port()}/")
    server = servers.sites(https(port, more=file_of(path)))
    server.tolerate_events("OCSP response")
    for _ in range(3):
        assert not staple(port)
    wait_until(lambda: events(server, 1044), "the event")


def test_the_development_certificate(servers):
    server = servers(files={"a.txt": "mine"}, arguments=["--https"])
    server.tolerate_events("Schannel")
    address, port, _ = server.addresses[0]
    cert = server.drive / "certs/development.crt"
    assert (server.drive / "certs/development.key").stat().st_mode & 0o777 == 0o600
    server.wait_line(re.escape(f"curl --cacert {cert}"))
    ctx = ssl.create_default_context(cafile=cert)
    for name in ("localhost", "127.0.0.1"):
        with connect(port, name, ctx) as conn:
            assert get(conn) == (200, b"mine")
    before = cert.read_bytes()
    server.stop()
    server.start()
    assert cert.read_bytes() == before        # trusted once, trusted for its year
