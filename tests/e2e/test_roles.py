"""Supervisor, listener and workers: separate processes with separate rights."""
import os
import pwd

import pytest

from harness import Pool, Site, read_events, wait_until
from harness.server import status_field

FILES = {"inetpub/wwwroot/a.txt": "a", "b/a.txt": "b"}


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(
        Site(), Site(name="b", id=2, folder="b", pool="Second"), pools=[Pool("DefaultAppPool"), Pool("Second")],
        files=FILES)
    assert server.get("/a.txt").body == b"a" and server.get("/a.txt", site="b").body == b"b"
    return server


def uids(pid):
    return set(status_field(pid, "Uid").split())


def test_each_role_is_a_process(server):
    listeners, workers = server.find("listener"), server.find("worker")
    assert len(listeners) == 1 and len(workers) == 2
    assert len({server.process.pid, *listeners, *workers}) == 4


@pytest.mark.root                         # others may not look into the processes
def test_each_role_has_its_own_address_layout(server):
    """Every role executes the program afresh, so one role's leaked addresses say nothing of another's."""
    starts = set()
    pids = [server.process.pid, *server.find("listener"), *server.find("worker")]
    for pid in pids:
        with open(f"/proc/{pid}/maps") as maps:
            starts.add(next(line.split("-")[0] for line in maps if "/candor" in line))
    assert len(starts) == len(pids)


def test_workers_start_on_demand(servers):
    server = servers.sites(Site(), files=FILES)
    assert server.find("worker") == []
    assert server.get("/a.txt").body == b"a"
    assert len(server.find("worker")) == 1


def test_always_running_pool(servers):
    from harness import wait_until
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", 'startMode="AlwaysRunning"')], files=FILES)
    wait_until(lambda: len(server.find("worker")) == 1, "the worker starts without a request")


@pytest.mark.parametrize("preloads", [True, False])
def test_preload(servers, preloads):
    """preloadEnabled: what its first request would have met is met when the worker starts."""
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", 'startMode="AlwaysRunning"')],
                           files={**FILES, "inetpub/wwwroot/web.config": "<configuration>"}, start=False)
    text = server.config_path.read_text()
    server.config_path.write_text(text.replace('<application path="/"', '<application path="/" preloadEnabled="%s"'
                                               % str(preloads).lower()))
    server.tolerate_events("2307")
    server.start()
    wait_until(lambda: len(server.find("worker")) == 1, "the worker starts without a request")
    if preloads:
        event = server.wait_event("2307")
        assert "web.config" in event["text"] and "Correct the XML: " in event["text"], "with the remedy"
        return
    assert [e for e in read_events(server.drive) if e["id"] == 2307] == []
    assert server.get("/a.txt").status == 500
    server.wait_event("2307")


def test_web_garden(servers):
    from harness import wait_until
    pool = Pool("DefaultAppPool", inner='<processModel maxProcesses="3" />')
    server = servers.sites(Site(), pools=[pool], files=FILES)

    def enough():
        assert server.get("/a.txt").body == b"a"
        return len(server.find("worker")) == 3
    wait_until(enough, lambda: f"three workers, there are {server.find('worker')}")


def test_listener_is_confined(server):
    pid = server.find("listener")[0]
    assert status_field(pid, "Seccomp") == "2"
    assert status_field(pid, "NoNewPrivs") == "1"
    assert int(status_field(pid, "CapEff"), 16) == 0


def test_workers_can_gain_nothing(server):
    for pid in server.find("worker"):
        assert status_field(pid, "NoNewPrivs") == "1"
        assert int(status_field(pid, "CapEff"), 16) == 0


@pytest.mark.root
def test_identities_as_root(server):
    listener, workers = server.find("listener")[0], server.find("worker")
    assert "0" not in uids(listener)
    users = set()
    for pid in workers:
        assert "0" not in uids(pid) and "0" not in status_field(pid, "Gid").split()
        assert "0" not in status_field(pid, "Groups").split()
        users |= uids(pid)
    assert len(users) == 2, "each pool has an identity of its own"
    assert uids(listener).isdisjoint(users)


@pytest.mark.root
def test_identity_is_named_after_the_pool(server):
    names = set()
    for pid in server.find("worker"):
        for uid in uids(pid):
            try:
                names.add(pwd.getpwuid(int(uid)).pw_name.lower())
            except KeyError:
                names.add(f"uid {uid}")
    assert names == {"candor-defaultapppool", "candor-second"}


@pytest.mark.root
def test_configured_identity(servers):
    user = pwd.getpwuid(65534).pw_name
    pool = Pool("DefaultAppPool", inner=f'<processModel identityType="SpecificUser" userName="{user}" />')
    server = servers.sites(Site(), pools=[pool], files=FILES)
    assert server.get("/a.txt").body == b"a"
    assert uids(server.find("worker")[0]) == {"65534"}


@pytest.mark.root
def test_pool_may_not_read_what_another_pool_owns(server):
    path = server.drive / "b/private.txt"
    path.write_text("private")
    other = uids(server.find("worker")[0]) | uids(server.find("worker")[1])
    owner = int(sorted(other)[0])
    os.chown(path, owner, owner)
    path.chmod(0o400)
    results = set()
    for site, folder in (("Default Web Site", server.root), ("b", server.drive / "b")):
        link = folder / "link.txt"
        if link.exists():
            link.unlink()
        os.symlink(path, link)
        results.add(server.get("/link.txt", site=site).code)
    assert results == {"200", "401.3"}


@pytest.mark.root
def test_unknown_identity_takes_the_pool_offline(servers):
    pool = Pool("DefaultAppPool", inner='<processModel identityType="SpecificUser" userName="nobody-at-all" />')
    server = servers.sites(Site(), pools=[pool], files=FILES)
    server.tolerate_events("5021", "5057", "5059")
    server.expect("AppOffline")
    assert server.get("/a.txt").status == 503
    server.wait_event("5057|5021")
