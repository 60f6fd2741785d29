"""Ten thousand idle connections: all stay, all answer, and each costs little in the listener.

At most 2 KiB for a plain one and 12 KiB under TLS (docs/tls.md has what is in it). bench/idle does the same with a hundred
thousand.
"""
import pathlib

import pytest

from harness import Site, attack
from harness.client import build
from harness.server import TOP, free_port

COUNT = 10_000
TLS_COUNT = 3000


pytestmark = pytest.mark.descriptors(COUNT + 500)


def judge(binary, grown_kib, count, limit):
    each = grown_kib * 1024 / count
    print(f"{each:.0f} bytes a connection in the listener")
    assert each <= (64 * 1024 if attack.is_sanitized(binary) else limit)


@pytest.mark.parametrize("binary", attack.binaries(), ids=attack.binary_name)
def test_idle_connections(servers, binary):
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"}, binary=pathlib.Path(binary))
    listener = server.find("listener")[0]
    conns = []

    def open_more(count):
        for start in range(0, count, 200):
            batch = [server.connect(source=f"127.0.0.{2 + (len(conns) // 200) % 200}") for _ in range(200)]
            for conn in batch:
                conn.send(build("GET", "/a.txt"))
            for conn in batch:
                assert conn.read().body == b"a"
            conns.extend(batch)

    open_more(1000)                       # pools and arenas have their working size
    before = attack.private_kib(listener)
    open_more(COUNT - 1000)
    grown = attack.private_kib(listener) - before
    assert all(conn.is_open() for conn in conns[::97])
    for conn in conns[::111]:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a"
    judge(binary, grown, COUNT - 1000, 2048)


@pytest.mark.parametrize("binary", attack.binaries(), ids=attack.binary_name)
def test_idle_tls_connections(servers, binary):
    site = attack.TlsSite(tls_port=free_port())
    server = servers.sites(site, files={"inetpub/wwwroot/a.txt": "a"}, binary=pathlib.Path(binary))
    listener = server.find("listener")[0]
    load = attack.program("load", "ssl", "crypto", sources=TOP / "bench")

    def opened(count):
        return attack.Flood([load, "idle", site.tls_port, "/a.txt", count, "tls"], stdin=True)
    with opened(500) as first:
        assert first.opened() == 500
        before = attack.private_kib(listener)
        with opened(TLS_COUNT) as more:
            assert more.opened() == TLS_COUNT
            grown = attack.private_kib(listener) - before
            more.process.stdin.write("\n")
            more.process.stdin.flush()
            _, alive, _, asked = more.process.stdout.readline().split()
            assert alive == asked
    judge(binary, grown, TLS_COUNT, 12 * 1024)
