"""Ten thousand idle connections: all stay, all answer, and each costs little in the listener."""
import pathlib
import resource

import pytest

from harness import Site
from harness.client import build
from harness.server import BINARY, TOP, status_field

COUNT = 10_000


def is_sanitized(binary):
    return b"__asan_init" in binary.read_bytes()


def binaries():
    """The program under test and, for its memory, the optimised one beside it."""
    found = [BINARY]
    optimised = (TOP / "build" / "candor").resolve()
    if optimised.exists() and optimised != BINARY:
        found.append(optimised)
    return found


@pytest.mark.parametrize("binary", binaries(), ids=lambda p: p.parent.parent.name)
def test_idle_connections(servers, binary):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < COUNT + 500:
        pytest.skip(f"only {hard} descriptors allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, COUNT + 2000), hard))
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

    def private_kib():
        return int(status_field(listener, "RssAnon").split()[0]) + int(status_field(listener, "RssShmem").split()[0])
    open_more(1000)                       # pools and arenas have their working size
    before = private_kib()
    open_more(COUNT - 1000)
    per_connection = (private_kib() - before) * 1024 / (COUNT - 1000)
    assert all(conn.is_open() for conn in conns[::97])
    for conn in conns[::111]:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a"
    limit = 64 * 1024 if is_sanitized(binary) else 4096
    print(f"{per_connection:.0f} bytes a connection in the listener")
    assert per_connection <= limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
