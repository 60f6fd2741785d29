"""What a machine does to a server: no descriptors, no room, folders that go, files saved without end."""
import contextlib
import pathlib
import resource
import shutil
import signal
import threading
import time

import pytest

from harness import AppHost, Pool, Site, wait_until
from harness.logs import read_events
from harness.server import replace_file
from harness.stopwatch import Stopwatch

FILES = {"inetpub/wwwroot/a.txt": "a"}


def limited(servers, number, sites=(), **more):
    return servers.sites(*(sites or [Site()]), files=FILES, rlimits=[(resource.RLIMIT_NOFILE, (number, number))],
                         **more)


@pytest.mark.parametrize("number", [20, 63])
def test_too_few_descriptors_to_start(servers, number):
    server = limited(servers, number, start=False)
    server.exit_code = 1
    server.spawn()
    server.process.wait(20)
    server.wait_line(f"^candor: only {number} file descriptors are allowed, and 64 are needed at least: raise the limit")


def test_few_descriptors_are_said(servers):
    """It serves with what there is; who wonders about refused connections finds the cause."""
    server = limited(servers, 64, start=False)
    server.tolerate_events("1022")
    server.start()
    assert "candor: only 64 file descriptors are allowed" in server.stderr
    assert "Only 64 file descriptors" in server.wait_event("1022")["text"]
    assert server.get("/a.txt").body == b"a"


def test_no_descriptors_for_all_sockets(servers):
    sites = [Site(name=f"s{i}", id=i, folder="inetpub/wwwroot") for i in range(1, 101)]
    server = limited(servers, 64, sites, start=False)
    server.exit_code = 1
    server.spawn()
    server.process.wait(20)
    server.wait_line("does not start: cannot listen on http://.*: there are no file descriptors left; raise the limit")


def test_limit_of_file_sizes(servers):
    """Neither the shared memory of a worker nor a log has room: events, no process killed by a signal."""
    server = servers.sites(Site(), files=FILES, rlimits=[(resource.RLIMIT_FSIZE, (4096, 4096))])
    server.tolerate_events("5022", "5002", "1011", "1012")
    server.tolerate("AppOffline")
    before = server.find("listener")
    assert server.get("/a.txt").status == 503
    assert "File too large" in str(server.wait_event("5022"))
    for _ in range(60):
        assert server.get("/a.txt?" + "x" * 200).status == 503
    assert "File too large" in server.wait_event("1011")["text"]
    assert server.find("listener") == before


def test_log_folder_that_is_moved_away(servers):
    """The listener may not make it where it is root's; the supervisor does, and no line is lost."""
    server = servers.sites(Site(), files=FILES)
    server.tolerate_events("1010")
    server.get("/a.txt?before")
    server.w3c_for("/a.txt")
    logs = server.drive / "inetpub" / "logs" / "LogFiles"
    shutil.move(logs, server.drive / "moved")
    time.sleep(1.1)                       # the file's absence is looked for once a second
    server.get("/a.txt?after")

    def lines():
        return [r for r in server.w3c() if r["cs-uri-query"] == "after"]
    wait_until(lines, "the line in a new folder")
    folder = logs / "W3SVC1"
    assert folder.stat().st_mode & 0o777 == 0o750


def test_log_folders_are_made_for_the_signal(servers):
    """What rotates logs may move the folder, then say so."""
    server = servers.sites(Site(), files=FILES)
    logs = server.drive / "inetpub" / "logs" / "LogFiles"
    shutil.move(logs, server.drive / "moved")
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: (logs / "W3SVC1").is_dir(), "a new folder")
    server.get("/a.txt?after")
    assert server.w3c_for("/a.txt")["cs-uri-query"] == "after"


def test_configuration_that_is_saved_without_end(servers):
    """A change waits for the next one to settle, but not for ever."""
    server = servers.sites(Site(), files={**FILES, "other/a.txt": "other"})
    text = server.config_path.read_text().replace("inetpub\\wwwroot", "other")
    done = threading.Event()
    saves = []

    def save():
        while not done.wait(0.02):
            saves.append(1)
            replace_file(server.config_path, f"{text}<!-- {len(saves)} -->")
    saver = threading.Thread(target=save)
    saver.start()
    try:
        wait_until(lambda: server.get("/a.txt").body == b"other", "taken while it is saved", pause=0.1)
    finally:
        done.set()
        saver.join()
    taken = [e for e in read_events(server.drive) if e["id"] == 1004]
    assert 1 <= len(taken) <= 2 + len(saves) / 10, "it did not settle at all"


def test_server_that_is_killed_takes_its_processes_along(servers):
    """Nothing stays that would hold the port or the socket against the next one."""
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").body == b"a"
    children = server.find("listener") + server.find("worker")
    server.exit_code = None
    server.process.kill()
    server.process.wait(10)

    def running(pid):
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    wait_until(lambda: not any(map(running, children)), "they end")
    second = servers(config=server.config, files=FILES, start=False)
    second.arguments[second.arguments.index("--control") + 1] = str(server.control)
    second.start()
    assert second.get("/a.txt").body == b"a"


@pytest.mark.descriptors(1024)
def test_hundreds_of_sites_and_pools(servers):
    """Start and reload stay in fractions of a second; no descriptor or process before it is needed."""
    sites = [Site(name=f"s{i}", id=i + 1, folder="inetpub/wwwroot", pool=f"p{i % 50}") for i in range(300)]
    server = servers(config=AppHost(sites=sites, pools=[Pool(f"p{i}") for i in range(50)]), files=FILES,
                     arguments=["--threads", "2"])      # each has a socket for each site
    assert len(server.addresses) == 300 and not server.find("worker")
    assert server.get("/a.txt", site="s0").body == b"a" and server.get("/a.txt", site="s299").body == b"a"
    assert len(server.find("worker")) == 2
    watch = Stopwatch(server)
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("generation 2")
    assert watch.seconds < 10             # measured: 0.1 s; sanitizers take their share
    assert server.get("/a.txt", site="s298").body == b"a"
