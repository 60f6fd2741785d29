"""applicationPools/add/cpu: workers that use too much processor time."""
import os
import pathlib
import pwd
import time

import pytest

from harness import Pool, Site, own_answer, wait_until
from harness.client import build
from test_supervisor import ask, pool_of

FILES = {f"inetpub/wwwroot/many/a file with a long name {i}.txt": "" for i in range(1500)}
FILES["inetpub/wwwroot/a.txt"] = "a"
LISTING = '<directoryBrowse enabled="true" />'
WINDOW = 60                                # seconds: the shortest resetInterval


def limit_for(seconds):
    """cpu/@limit so that a window allows that much processor time."""
    return max(1, round(seconds / (WINDOW * os.cpu_count()) * 100000))


def serve(servers, action, seconds, **more):
    cpu = f'<cpu limit="{limit_for(seconds)}" action="{action}" resetInterval="00:01:00" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=cpu)], files=FILES,
                           locations=f'<location path="Default Web Site/many"><system.webServer>{LISTING}'
                                     '</system.webServer></location>', **more)
    server.tolerate_events("5025")
    return server


def burn(server, until, limit=50):
    """Lists the large folder over and over, on a few connections, until the condition holds."""
    deadline = time.monotonic() + limit
    while not until():
        assert time.monotonic() < deadline, "the processor time is not used up"
        with server.connect() as conn:
            for _ in range(20):
                conn.send(build("GET", "/many/"))
                try:
                    if conn.read().status != 200:
                        return
                except (AssertionError, OSError):
                    return                 # the worker has been killed meanwhile


def is_shut(server):
    return pool_of(server)["reason"] == "AppShutdown"


def test_killed_workers_come_back_with_the_next_window(servers):
    begin = time.monotonic()
    server = serve(servers, "KillW3wp", 1.5)
    server.tolerate("AppShutdown", "Connection_Abandoned_By_ReqQueue", "Connection_Abandoned_By_AppPool")
    assert server.get("/a.txt").status == 200
    burn(server, lambda: is_shut(server))
    wait_until(lambda: is_shut(server), "the pool is shut")
    wait_until(lambda: not server.find("worker"), "its worker is killed")
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        own_answer(conn.read_to_end(), "AppShutdown")
    line = server.httperr_for(conn.port)
    assert (line["sc-status"], line["s-reason"], line["s-queuename"]) == ("503", "AppShutdown", "DefaultAppPool")
    event = server.wait_event("5025")
    assert event["level"].lower() == "warning" and "DefaultAppPool" in str(event)
    assert pool_of(server)["state"] == "Stopped"
    wait_until(lambda: pool_of(server)["state"] == "Started", "the next window", limit=WINDOW + 20, pause=0.2)
    assert time.monotonic() - begin >= WINDOW - 1
    server.wait_event("'id': 1029")
    assert server.get("/a.txt").status == 200


@pytest.mark.parametrize("user", [None, pytest.param("nobody", marks=pytest.mark.root)])
def test_an_administrator_brings_it_back_at_once(servers, user):
    """Also where no control group may be made, so that /proc has the account."""
    uid = pwd.getpwnam(user).pw_uid if user else None
    server = serve(servers, "KillW3wp", 1.0, as_user=uid)
    server.tolerate("AppShutdown", "Connection_Abandoned_By_ReqQueue", "Connection_Abandoned_By_AppPool", "Disabled")
    burn(server, lambda: is_shut(server))
    wait_until(lambda: is_shut(server), "the pool is shut")
    assert ask(server, verb="pool", action="start", name="DefaultAppPool")["ok"]
    assert server.get("/a.txt").status == 200
    # Shut once more, then stopped by hand: it is his word that counts.
    burn(server, lambda: is_shut(server))
    wait_until(lambda: is_shut(server), "the pool is shut again")
    assert ask(server, verb="pool", action="stop", name="DefaultAppPool")["ok"]
    assert pool_of(server)["reason"] == "Disabled"


def test_no_action_is_an_event(servers):
    server = serve(servers, "NoAction", 0.5)
    seen = []
    burn(server, lambda: seen or seen.extend([1] if "5025" in events(server) else []))
    server.wait_event("5025")
    assert server.get("/a.txt").status == 200 and pool_of(server)["state"] == "Started"


def events(server):
    log = server.drive / "inetpub/logs/events.log"
    return log.read_text() if log.exists() else ""


def own_group():
    """Folder of this process's version 2 control group, if pools could have processor limits below it."""
    mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
              if " - cgroup2 " in line]
    own = [line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    folder = pathlib.Path(mounts[0] + own[0]) if mounts and own else None
    if not folder or not os.access(folder, os.W_OK):
        return None
    return folder if "cpu" in (folder / "cgroup.controllers").read_text().split() else None


@pytest.mark.parametrize("action", ["Throttle", "ThrottleUnderLoad"])
def test_throttling_needs_a_control_group(servers, action):
    """Without one the limit has no effect, and an event says so."""
    server = serve(servers, action, 1.0)
    server.tolerate_events("1023")
    assert server.get("/a.txt").status == 200
    if own_group() is None:
        event = server.wait_event("'id': 1023")
        assert "DefaultAppPool" in str(event)
    assert "5025" not in events(server)


def test_affinity(servers):
    last = max(os.sched_getaffinity(0))
    cpu = f'<cpu smpAffinitized="true" smpProcessorAffinityMask="{1 << last}" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=cpu)], files={"inetpub/wwwroot/a.txt": "a"})
    assert server.get("/a.txt").status == 200
    pid = server.find("worker")[0]
    for task in os.listdir(f"/proc/{pid}/task"):
        assert os.sched_getaffinity(int(task)) == {last}
