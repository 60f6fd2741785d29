"""Ways out of the site: none of them may give a byte of a file that is not below it."""
import os

import pytest

from harness import Site

SECRET = b"SECRET-BYTES-OUTSIDE"

TARGETS = [
    "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/.%2e/secret.txt",
    "/..%5csecret.txt", "/..\\secret.txt", "/%5c..%5csecret.txt", "/a/..%5c..%5csecret.txt", "/a/../../secret.txt",
    "/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/..%252fsecret.txt", "/..%255csecret.txt",
    "/%c0%ae%c0%ae/secret.txt", "/..%c0%afsecret.txt", "/..%c1%9csecret.txt", "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%f0%80%80%ae%f0%80%80%ae/secret.txt", "/%u002e%u002e/secret.txt", "/..%u2215secret.txt", "/..%u005csecret.txt",
    "/%uff0e%uff0e/secret.txt", "/a.txt%00/../../secret.txt", "/a.txt%00.html", "/secret.txt%00.txt",
    "/....//secret.txt", "/..../secret.txt", "/...\\secret.txt", "/. ./secret.txt", "/.. /secret.txt", "/..%20/secret.txt",
    "/%20../secret.txt", "/..;/secret.txt", "/..%3b/secret.txt", "//../secret.txt", "///../secret.txt",
    "/./../secret.txt", "/sub/%2e%2e/%2e%2e/secret.txt", "/sub/..;/..;/secret.txt",
    "/C:/secret.txt", "/c:%5csecret.txt", "/C%3a/secret.txt", "/%5c%5clocalhost%5cc$%5csecret.txt",
    "/%5c%5c%3f%5cC:%5csecret.txt", "//localhost/secret.txt", "/file:///secret.txt", "/{drive}/secret.txt",
    "/a.txt::$DATA", "/hidden/web.config::$DATA", "/web.config.", "/web.config%20", "/WEB.CONFIG", "/web.con%66ig",
    "/web%2econfig", "/sub/..%2fweb.config", "/bin./secret.txt", "/bin%20/secret.txt", "/bin::$INDEX_ALLOCATION/secret.txt",
    "/BIN/secret.txt", "/./bin/secret.txt", "/sub/../bin/secret.txt", "/bin%2fsecret.txt", "/bin%5csecret.txt",
    "/WEB~1.CON", "/SECRET~1.TXT", "/proc/self/environ", "/etc/passwd", "/dev/zero",
]


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(
        Site(folder="sites/www"),
        files={"sites/secret.txt": SECRET, "secret.txt": SECRET, "sites/www/a.txt": "a", "sites/www/sub/b.txt": "b",
               "sites/www/bin/secret.txt": SECRET, "sites/www/web.config": "<configuration><!-- "
               + SECRET.decode() + " --></configuration>", "sites/www/hidden/web.config": "<configuration><!-- "
               + SECRET.decode() + " --></configuration>"})
    server.tolerate("URL", "Forbidden", "BadRequest", "Verb")
    return server


@pytest.mark.parametrize("target", TARGETS)
def test_no_byte_leaks(server, target):
    target = target.replace("{drive}", str(server.drive).strip("/"))
    raw = server.raw(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert SECRET not in raw and b"root:" not in raw
    assert raw.split(b" ")[1] in (b"400", b"403", b"404", b"414"), raw[:300]


@pytest.mark.parametrize("target", ["/sub/../a.txt", "/sub/%2e%2e/a.txt", "/sub/..\\a.txt", "/sub%5c..%5ca.txt", "//a.txt",
                                    "/./a.txt", "/sub/./../a.txt", "/%61.txt", "/A.TXT"])
def test_ways_that_stay_inside_work(server, target):
    assert server.get(target).body == b"a"


@pytest.fixture(scope="module")
def linked(module_servers):
    """Links that leave the site: to a file others may read, and to one the pool's identity may not."""
    server = module_servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a", "outside/open.txt": "open",
                                                 "outside/closed.txt": SECRET, "locked/inside.txt": SECRET},
                                  start=False)
    (server.drive / "outside/closed.txt").chmod(0)
    (server.drive / "locked").chmod(0)
    for name, target in (("closed.txt", "outside/closed.txt"), ("locked", "locked"), ("loop.txt", None),
                         ("dangling.txt", "nowhere/x.txt")):
        os.symlink(server.root / "loop.txt" if target is None else server.drive / target, server.root / name)
    yield server.start()
    (server.drive / "locked").chmod(0o755)


@pytest.mark.parametrize("target,codes", [
    ("/closed.txt", {"401.3"}), ("/locked/inside.txt", {"401.3", "500.19"}), ("/loop.txt", {"404.0"}),
    ("/dangling.txt", {"404.0"}),
])
def test_symbolic_links(linked, target, codes):
    linked.tolerate_events("2307")
    answer = linked.get(target)
    assert answer.code in codes and SECRET not in answer.raw


def test_devices_and_pipes_are_not_files(server):
    """Opening a pipe must not hold a worker; what is not a regular file is not found."""
    os.mkfifo(server.root / "pipe.txt")
    (server.root / "pipe.txt").chmod(0o644)
    assert server.get("/pipe.txt").status == 404
    assert server.get("/a.txt").body == b"a"
