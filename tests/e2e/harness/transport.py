"""The ways a request can travel, so that one table of cases is held to over all of them."""
from .client import Conn, build
from .http2 import Client, wrap_tls

PLAIN, TLS, HTTP2, HTTP2_TLS = "http1", "tls", "http2", "http2-tls"
TRANSPORTS = [PLAIN, TLS, HTTP2, HTTP2_TLS]


def options(transport, reg=None):
    """What a server of a folder must be started with to speak it."""
    more = {}
    if transport == HTTP2:
        more["reg"] = {**(reg or {}), "EnableHttp2Cleartext": 1}
    elif reg:
        more["reg"] = reg
    if transport in (TLS, HTTP2_TLS):
        more["arguments"] = ["--https"]
    return more


def scheme(transport):
    return "https" if transport in (TLS, HTTP2_TLS) else "http"


def cs_version(transport):
    """As the logs have it."""
    return "HTTP/2.0" if transport in (HTTP2, HTTP2_TLS) else "HTTP/1.1"


def connect(server, transport, site=None):
    """A connection that is ready for requests: Conn for HTTP/1, http2.Client for HTTP/2."""
    conn = server.connect(site)
    if transport in (TLS, HTTP2_TLS):
        conn.sock = wrap_tls(conn.sock, alpn=("h2",) if transport == HTTP2_TLS else ("http/1.1",))
    if transport in (HTTP2, HTTP2_TLS):
        conn.http2 = Client(conn.sock, scheme(transport))
    return conn


def request(server, transport, method="GET", target="/", headers=(), body=None, host=None, site=None,
            version="1.1"):
    """One request on a connection of its own; the answer."""
    where = server.address(site)
    if host is None:
        host = f"{where[0] if ':' not in where[0] else '[' + where[0] + ']'}:{where[1]}"
    with connect(server, transport, site) as conn:
        if transport in (HTTP2, HTTP2_TLS):
            return conn.http2.read(conn.http2.ask(method, target, headers, body, host))
        conn.send(build(method, target, headers, body, host, version))
        return conn.read(method)


__all__ = ["Conn", "HTTP2", "HTTP2_TLS", "PLAIN", "TLS", "TRANSPORTS", "connect", "cs_version", "options", "request", "scheme"]
