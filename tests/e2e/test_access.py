"""security/access sslFlags and the site's hsts element, as far as connections without TLS show them."""

import pytest

from harness import Site

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
