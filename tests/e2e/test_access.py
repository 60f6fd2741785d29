"""security/access sslFlags: TLS, strength, client certificates; and the site's hsts element."""
import re
import select
import ssl
import subprocess

import pytest

from harness import Site
from harness.server import free_port, wait_until
from harness.tls import Authority, connect, context, openssl, put, reg, thumbprint

PAGE = {"inetpub/wwwroot/a.txt": "a"}


def access(flags):
    return f'<location path="Default Web Site"><system.webServer><security><access sslFlags="{flags}" />' \
           "</security></system.webServer></location>"


@pytest.mark.parametrize("flags, code", [
    ("None", "200.0"),
    ("Ssl", "403.4"),
    ("Ssl128", "403.5"),
    ("Ssl, Ssl128", "403.4"),
    ("SslNegotiateCert", "200.0"),
    ("SslNegotiateCert, SslRequireCert", "403.7"),
    ("Ssl, SslNegotiateCert, SslRequireCert, Ssl128", "403.4"),
])
def test_without_tls(servers, flags, code):
    server = servers.sites(Site(), locations=access(flags), files=PAGE)
    reply = server.get("/a.txt")
    status, _, sub = code.partition(".")
    assert reply.status == int(status)
    row = server.w3c_for("/a.txt")
    assert (row["sc-status"], row["sc-substatus"]) == (status, sub)
    assert row["sc-win32-status"] == ("0" if status == "200" else "5")


def test_hsts_redirects(servers):
    server = servers.sites(Site(inner='<hsts enabled="true" max-age="60" redirectHttpToHttps="true" />'),
                           files=PAGE)
    reply = server.get("/a.txt?x=%20y", host="www.example.com:8080")
    assert reply.status == 307
    assert reply.get("Location") == "https://www.example.com/a.txt?x=%20y"
    assert reply.get("Strict-Transport-Security") is None


def test_hsts_says_nothing_without_tls(servers):
    server = servers.sites(Site(inner='<hsts enabled="true" max-age="60" />'), files=PAGE)
    reply = server.get("/a.txt")
    assert reply.status == 200
    assert reply.get("Strict-Transport-Security") is None


# --- over TLS ---

CODES = {"good": "200.0", "none": "403.7", "untrusted": "403.16", "expired": "403.17", "revoked": "403.13"}
ALL = "Ssl, SslNegotiateCert, SslRequireCert"


class Certificates(Authority):
    """An authority with the clients' certificates of CODES, and its revocation list."""

    def __init__(self, folder):
        super().__init__(folder)
        other = folder / "other"
        other.mkdir()
        self.clients = {"good": self.make("good", usage="clientAuth"),
                        "revoked": self.make("revoked", usage="clientAuth"),
                        "expired": self.make("expired", usage="clientAuth"),
                        "untrusted": Authority(other).make("untrusted", usage="clientAuth")}
        (folder / "index").write_text(f"R\t400101000000Z\t260101000000Z\t{100 + 2:04X}\tunknown\t/CN=revoked\n")
        (folder / "serial").write_text("0A00\n")
        (folder / "ca.cnf").write_text(f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index\ndefault_md=sha256\n"
                                       f"default_crl_days=30\nserial={folder}/serial\nnew_certs_dir={folder}\n"
                                       "policy=p\n[p]\ncommonName=supplied\n")
        ca = ["ca", "-config", folder / "ca.cnf", "-cert", self.cert, "-keyfile", self.key]
        cert = self.clients["expired"][0]          # made anew, with dates that `openssl x509` cannot give
        openssl(*ca, "-batch", "-notext", "-in", cert.with_suffix(".csr"), "-out", cert, "-startdate",
                "20200101000000Z", "-enddate", "20200201000000Z", "-extfile", cert.with_suffix(".ext"))
        openssl(*ca, "-gencrl", "-out", folder / "list.pem")
        self.list = (folder / "list.pem").read_text()

    def context(self, client, version=None, post_handshake=True):
        ctx = context(version=version)
        if version != ssl.TLSVersion.TLSv1_2:
            ctx.post_handshake_auth = post_handshake
        if client != "none":
            ctx.load_cert_chain(*self.clients[client])
        return ctx


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def below(folder, flags):
    return f'<location path="Default Web Site/{folder}"><system.webServer><security><access sslFlags="{flags}" />' \
           "</security><serverRuntime uploadReadAheadSize=\"1000\" /></system.webServer></location>"


@pytest.fixture(scope="module")
def tls(module_servers, certificates):
    """Two bindings of a site; the second asks for a certificate in the handshake."""
    ports = [free_port(), free_port()]
    pair = certificates.make("localhost")
    cert_hash = thumbprint(pair[0])
    bindings = {rf"SslBindingInfo\127.0.0.1:{port}": {"SslCertHash": cert_hash, "DefaultFlags": flags}
                for port, flags in zip(ports, (0, 2))}
    fields = "".join(f'<add logFieldName="{name}" sourceName="{source}" sourceType="ServerVariable" />'
                     for name, source in (("crypt-protocol", "CRYPT_PROTOCOL"), ("subject", "CERT_SUBJECT"),
                                          ("keysize", "HTTPS_KEYSIZE"), ("protocol", "SERVER_PROTOCOL")))
    site = Site(protocol="https", bindings=[f"127.0.0.1:{p}:" for p in ports],
                inner='<hsts enabled="true" max-age="60" includeSubDomains="true" redirectHttpToHttps="true" />'
                      f"<logFile><customFields>{fields}</customFields></logFile>")
    server = module_servers.sites(
        site, start=False, reg=reg(bindings),
        locations=below("require", ALL) + below("accept", "Ssl, SslNegotiateCert") + below("strong", "Ssl, Ssl128"),
        files={f"inetpub/wwwroot/{d}a.txt": "some text" for d in ("", "require/", "accept/", "strong/")})
    put(server.drive / "certs/MY/site.pem", pair[0].read_text() + pair[1].read_text())
    put(server.drive / "certs/ROOT/root.pem", certificates.cert.read_text())
    put(server.drive / "certs/ROOT/list.crl", certificates.list)
    server.tolerate("Timer_ConnectionIdle", "Client_Reset")
    server.start()
    server.asks_later, server.asks_first = ports
    return server


def code_of(server, port, ctx, path, data=b""):
    """The code that is answered to a client with this certificate."""
    with connect(port, "localhost", ctx) as conn:
        body = f"Content-Length: {len(data)}\r\n" if data else ""
        conn.sendall(f"{'POST' if data else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\n{body}\r\n".encode() + data)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = conn.recv(65536)
            assert piece, head
            head += piece
    mark = re.search(rb"X-Candor-Error: ([0-9.]+)", head)
    return mark[1].decode() if mark else head.split()[1].decode() + ".0"


@pytest.mark.parametrize("client", CODES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificate_of_the_handshake(tls, certificates, client, version):
    assert code_of(tls, tls.asks_first, certificates.context(client, version), "/require/a.txt") == CODES[client]
    # Where none is asked for, none matters.
    assert code_of(tls, tls.asks_first, certificates.context(client, version), "/a.txt") == "200.0"


@pytest.mark.parametrize("client", CODES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificate_on_demand(tls, certificates, client, version):
    ctx = certificates.context(client, version)
    assert code_of(tls, tls.asks_later, ctx, "/require/a.txt") == CODES[client]
    assert code_of(tls, tls.asks_later, ctx, "/accept/a.txt") == ("200.0" if client == "none" else CODES[client])
    assert code_of(tls, tls.asks_later, ctx, "/a.txt") == "200.0"


def test_connection_that_cannot_be_asked(tls, certificates):
    ctx = certificates.context("good", ssl.TLSVersion.TLSv1_3, post_handshake=False)
    assert code_of(tls, tls.asks_later, ctx, "/require/a.txt") == "403.7"
    assert code_of(tls, tls.asks_later, ctx, "/accept/a.txt") == "200.0"


def test_body_in_the_way(tls, certificates):
    ctx = certificates.context("good", ssl.TLSVersion.TLSv1_2)
    assert code_of(tls, tls.asks_later, ctx, "/require/a.txt", b"x" * 1001) == "413.0"
    assert code_of(tls, tls.asks_later, ctx, "/require/a.txt", b"x" * 1000) == "405.0"


def answers(conn, count):
    """Status and X-Candor-Error of the answers that come, in their order; None where the connection has ended."""
    found, data = [], b""
    while len(found) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1]) if end else 0
        if end and len(rest) >= length:
            mark = re.search(rb"X-Candor-Error: ([0-9.]+)", head)
            found.append(mark[1].decode() if mark else head.split()[1].decode())
            data = rest[length:]
            continue
        piece = conn.recv(65536)
        if not piece:
            return found + [None]
        data += piece
    return found


def wait_until_asked(conn):
    """Its request is with a worker, and the question is on its way; the client has not read it yet."""
    wait_until(lambda: select.select([conn], [], [], 0)[0], "the question")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_while_the_certificate_is_asked_for(tls, certificates, version):
    """A client that has not heard yet that it is asked goes on with its next requests: they are kept."""
    def get(path):
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for at_once in (True, False):
        for client, first in (("good", "200"), ("revoked", "403.13")):
            with connect(tls.asks_later, "localhost", certificates.context(client, version)) as conn:
                if at_once:
                    conn.sendall(get("/require/a.txt") + get("/accept/a.txt") + get("/missing"))
                else:
                    conn.sendall(get("/require/a.txt"))
                    wait_until_asked(conn)
                    conn.sendall(get("/accept/a.txt"))
                    conn.sendall(get("/missing"))
                assert answers(conn, 3) == [first, first, "404.0"], (at_once, client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_too_much_while_the_certificate_is_asked_for(tls, certificates, version):
    """The certificate lies behind what does not fit: 413, as for a body that is in the way, and the end."""
    get = f"GET /missing HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 1000}\r\n\r\n".encode()
    with connect(tls.asks_later, "localhost", certificates.context("good", version)) as conn:
        conn.sendall(b"GET /require/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until_asked(conn)
        for _ in range(40):
            conn.sendall(get)
        assert answers(conn, 2) == ["413.0", None]


def test_http2_comes_again_by_http1(tls, certificates):
    cert, key = certificates.clients["good"]
    out = subprocess.run(["curl", "-s", "--cacert", certificates.cert, "--cert", cert, "--key", key, "--http2",
                          "--resolve", f"localhost:{tls.asks_later}:127.0.0.1", "-w", " %{http_version} %{http_code}",
                          f"https://localhost:{tls.asks_later}/require/a.txt"],
                         capture_output=True, timeout=30, check=True).stdout.decode()
    assert out == "some text 1.1 200"


def test_strength_and_hsts(tls, certificates):
    ctx = certificates.context("none")
    assert code_of(tls, tls.asks_later, ctx, "/strong/a.txt") == "200.0"
    for path, status in (("/a.txt", b"200"), ("/missing", b"404")):
        with connect(tls.asks_later, "localhost", ctx) as conn:
            conn.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = conn.recv(65536).partition(b"\r\n\r\n")[0]
        assert head.split()[1] == status
        assert b"\r\nStrict-Transport-Security: max-age=60; includeSubDomains\r\n" in head


def test_variables(tls, certificates):
    code_of(tls, tls.asks_first, certificates.context("good", ssl.TLSVersion.TLSv1_2), "/require/a.txt?variables")
    row = tls.w3c(wait=lambda r: r["cs-uri-query"] == "variables")[-1]
    assert (row["crypt-protocol"], row["subject"], row["protocol"]) == ("400", "CN=good", "HTTP/1.1")
    assert int(row["keysize"]) >= 128
    code_of(tls, tls.asks_later, certificates.context("none", ssl.TLSVersion.TLSv1_3), "/a.txt?variables13")
    row = tls.w3c(wait=lambda r: r["cs-uri-query"] == "variables13")[-1]
    assert (row["crypt-protocol"], row["subject"]) == ("1000", "-")
