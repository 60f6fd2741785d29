"""What the supervisor does for pools and sites: states, rapid-fail protection, recycling, reloads."""
import json
import os
import resource
import signal
import socket
import time

import pytest

from harness import AppHost, Pool, Site, read_events, wait_until
from harness.client import build
from harness.server import free_port, is_running, make_drive, replace_file

LARGE = 8_000_000                         # more than the kernel takes for a client that does not read
FILES = {"inetpub/wwwroot/a.txt": "a", "b/a.txt": "b"}


def ask(server, **request):
    """One line to the control socket, one line back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(20)
        control.connect(str(server.control))
        control.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = control.recv(65536)
            assert more, answer
            answer += more
    return json.loads(answer)


def pool_of(server, name="DefaultAppPool"):
    return next(p for p in ask(server, verb="status")["pools"] if p["name"] == name)


def is_refused(address):
    try:
        socket.create_connection(address, 1).close()
        return False
    except OSError:
        return True


def crash(server):
    pid = wait_until(lambda: server.find("worker"), "a worker")[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid), "the worker ends")
    return pid


def test_status(servers):
    server = servers.sites(Site(), files=FILES)
    before = ask(server, verb="status")
    assert before["ok"] and before["pools"][0]["workers"] == [] and before["pools"][0]["queued"] == 0
    assert server.get("/a.txt").body == b"a"
    status = ask(server, verb="status")
    assert status["listener"]["pid"] == server.find("listener")[0]
    assert [w["pid"] for w in status["pools"][0]["workers"]] == server.find("worker")
    assert status["sites"][0]["state"] == "Started" and status["sites"][0]["id"] == 1


@pytest.mark.parametrize("line", [
    b"{}\n", b"[]\n", b"not json\n", b'{"verb": "dance"}\n', b'{"verb": "pool", "action": "start"}\n',
    b'{"verb": "pool", "action": "jump", "name": "DefaultAppPool"}\n',
    b'{"verb": "site", "action": "stop", "id": 99}\n', b'{"verb": "site", "action": "stop", "id": "1"}\n',
])
def test_wrong_requests(module_servers, line):
    server = module_servers.made[0] if module_servers.made else module_servers.sites(Site(), files=FILES)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(20)
        control.connect(str(server.control))
        control.sendall(line)
        answer = json.loads(control.recv(65536))
        assert answer["ok"] is False and answer["error"]


def test_control_socket_is_private(servers):
    server = servers.sites(Site(), files=FILES)
    assert os.stat(server.control).st_mode & 0o777 == 0o600


def test_pool_stop_and_start(servers):
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").status == 200
    worker = server.find("worker")[0]
    assert ask(server, verb="pool", action="stop", name="defaultapppool") == {"ok": True}
    wait_until(lambda: not is_running(worker), "the worker ends")
    assert pool_of(server)["state"] == "Stopped"
    server.expect("Disabled")
    assert server.get("/a.txt").status == 503
    assert ask(server, verb="pool", action="start", name="DefaultAppPool") == {"ok": True}
    server.tolerate("Disabled")           # the listener learns it a moment later
    wait_until(lambda: server.get("/a.txt").status == 200, "the pool serves again")


def test_pool_without_auto_start(servers):
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", 'autoStart="false"')], files=FILES)
    server.expect("Disabled")
    assert server.get("/a.txt").status == 503
    assert ask(server, verb="pool", action="start", name="DefaultAppPool")["ok"]
    server.tolerate("Disabled")
    wait_until(lambda: server.get("/a.txt").status == 200, "the pool serves")


def test_site_stop_and_start(servers):
    server = servers.sites(Site(), Site(name="b", id=2, folder="b"), files=FILES)
    server.tolerate("Hostname")           # connections accepted just before the listener let go of the port

    def refused():
        try:
            server.get("/a.txt", site="b")
            return False
        except (OSError, AssertionError):
            return True
    assert ask(server, verb="site", action="stop", id=2)["ok"]
    wait_until(refused, "the port of the stopped site is closed")
    assert server.get("/a.txt").body == b"a"
    assert ask(server, verb="site", action="start", id=2)["ok"]
    wait_until(lambda: not refused(), "the port is open again")
    assert server.get("/a.txt", site="b").body == b"b"


def test_rapid_fail_protection(servers):
    failure = '<failure rapidFailProtectionMaxCrashes="3" />'
    server = servers.sites(Site(), pools=[Pool("DefaultAppPool", inner=failure)], files=FILES)
    server.tolerate_events("5009", "5002")
    for _ in range(3):
        assert server.get("/a.txt").status == 200
        crash(server)
    server.wait_event("5002")
    server.expect("AppOffline")
    assert server.get("/a.txt").status == 503
    assert pool_of(server)["reason"] == "AppOffline"
    assert ask(server, verb="pool", action="start", name="DefaultAppPool")["ok"]
    assert server.get("/a.txt").status == 200 and pool_of(server)["failures"] == 0


def test_worker_that_cannot_start(servers):
    """Start failures trip the protection at once; every waiting request gets its 503."""
    drive = make_drive()
    libraries = '<environmentVariables><add name="LD_LIBRARY_PATH" value="%s" /></environmentVariables>'
    pool = Pool("DefaultAppPool", inner=libraries % (drive / "broken"))
    server = servers(config=AppHost(pools=[pool]), files={**FILES, "broken/libjansson.so.4": ""}, drive=drive)
    server.expected_stderr.append("error while loading shared libraries")
    server.tolerate_events("5009", "5002")
    server.expect("AppOffline", 5)
    conns = [server.connect() for _ in range(5)]
    for conn in conns:
        conn.send(build("GET", "/a.txt"))
    assert [conn.read().status for conn in conns] == [503] * 5
    assert len([e for e in read_events(server.drive) if e["id"] == 5009]) == 5
    server.wait_event("5002")


def test_recycle_overlaps(servers):
    server = servers.sites(Site(), files=FILES)
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().status == 200
        old = server.find("worker")
        assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
        for _ in range(200):
            conn.send(build("GET", "/a.txt"))
            assert conn.read().status == 200
        wait_until(lambda: server.find("worker") != old and len(server.find("worker")) == 1, "another worker")
        conn.send(build("GET", "/a.txt"))
        assert conn.read().status == 200
    assert server.wait_event("5079")["level"] == "info"


def test_recycle_without_overlap(servers):
    pool = Pool("DefaultAppPool", inner='<recycling disallowOverlappingRotation="true" />')
    server = servers.sites(Site(), pools=[pool], files=FILES)
    assert server.get("/a.txt").status == 200
    old = server.find("worker")[0]
    assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
    assert server.get("/a.txt").status == 200
    wait_until(lambda: not is_running(old), "the old worker ends")
    assert server.get("/a.txt").status == 200
    assert len(server.find("worker")) == 1


def hung_pool(servers, overlap):
    """A server whose only worker hangs: with an answer under way, and requests on its ring."""
    pool = Pool("DefaultAppPool", inner='<recycling disallowOverlappingRotation="%s" />'
                                        '<processModel shutdownTimeLimit="00:00:06" pingingEnabled="false" />'
                                        % ("false" if overlap else "true"))
    server = servers.sites(Site(), pools=[pool], files={**FILES, "inetpub/wwwroot/big.bin": b"x" * LARGE})
    server.tolerate_events("5013")
    download = server.connect(receive_buffer=131072)
    download.send(build("GET", "/big.bin"))
    download.read_head()
    worker = server.find("worker")[0]
    os.kill(worker, signal.SIGSTOP)
    waiting = [server.connect() for _ in range(5)]
    for one in waiting:
        one.send(build("GET", "/a.txt"))
        server.wait_read(one)
    return server, download, waiting, worker


@pytest.mark.root                         # signals to other users' processes
def test_recycle_of_a_worker_that_hangs(servers):
    """Its successor serves at once. What it never took comes to that one when it is killed, at shutdownTimeLimit and
    not before; what it had handed over is sent to the end."""
    server, download, waiting, old = hung_pool(servers, overlap=True)
    begun = time.monotonic()
    assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]

    def draining():                       # from then on nothing more is given to it
        workers = ask(server, verb="status")["pools"][0]["workers"]
        return [w for w in workers if w["pid"] == old and w["state"] == "Stopping"]
    wait_until(draining, "a successor is ready")
    for turn in range(3):                 # it is draining: another turn is not its affair
        assert server.get(f"/a.txt?{turn}").status == 200
        assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
    assert time.monotonic() - begun < 5.5 and is_running(old)
    for one in waiting:
        assert one.read().status == 200
    assert time.monotonic() - begun > 5.5
    server.wait_event("5013")
    assert len(download.take(LARGE)) == LARGE
    wait_until(lambda: len(server.find("worker")) == 1, "one worker is left")
    assert old not in server.find("worker") and server.get("/a.txt").status == 200


@pytest.mark.root
def test_recycle_without_overlap_of_a_worker_that_hangs(servers):
    """New requests wait for its end and are then served: none is lost, none is refused."""
    server, download, waiting, old = hung_pool(servers, overlap=False)
    assert ask(server, verb="pool", action="recycle", name="DefaultAppPool")["ok"]
    waiting += [server.connect() for _ in range(5)]
    for one in waiting[5:]:
        one.send(build("GET", "/a.txt"))
    for one in waiting:
        assert one.read().status == 200
    assert not is_running(old)
    server.wait_event("5013")
    assert len(download.take(LARGE)) == LARGE


def test_changed_pool_recycles(servers):
    server = servers.sites(Site(), Site(name="b", id=2, folder="b", pool="Second"),
                           pools=[Pool("DefaultAppPool"), Pool("Second")], files=FILES)
    assert server.get("/a.txt").status == 200 and server.get("/a.txt", site="b").status == 200
    pids = {p["name"]: p["workers"][0]["pid"] for p in ask(server, verb="status")["pools"]}
    server.config.pools[1].inner = '<processModel idleTimeout="00:05:00" />'
    replace_file(server.config_path, server.config.render())
    server.wait_event("5080.*Second")
    wait_until(lambda: not is_running(pids["Second"]), "the changed pool's worker is replaced")
    assert server.get("/a.txt", site="b").status == 200
    assert is_running(pids["DefaultAppPool"]), "the other pool is left alone"


def test_bindings_come_and_go(servers):
    server = servers.sites(Site(), Site(name="b", id=2, folder="b"), files=FILES)
    first, second, third = server.config.sites[0], server.config.sites[1], free_port()
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a"
        kept, gone = list(second.bindings), server.address("b")
        second.bindings = [f"127.0.0.1:{third}:"]
        replace_file(server.config_path, server.config.render())

        def serves_there():
            try:
                with server.connect(address=("127.0.0.1", third)) as other:
                    other.send(build("GET", "/a.txt", host=f"127.0.0.1:{third}"))
                    return other.read().body == b"b"
            except OSError:
                return False
        wait_until(serves_there, "the new port is served")

        wait_until(lambda: is_refused(gone), "the old port is closed")
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a", "the other site's connection has not been touched"
    assert kept and first.bindings


def test_added_and_removed_site_and_pool(servers):
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").body == b"a"
    extra = Site(name="b", id=2, folder="b", pool="Second")
    more = AppHost(sites=[server.config.sites[0], extra], pools=[Pool("DefaultAppPool"), Pool("Second")])
    replace_file(server.config_path, more.render())

    def serves():
        try:
            with server.connect(address=("127.0.0.1", extra.port)) as conn:
                conn.send(build("GET", "/a.txt", host=f"127.0.0.1:{extra.port}"))
                return conn.read().body == b"b"
        except OSError:
            return False
    wait_until(serves, "the new site is served")
    worker = pool_of(server, "Second")["workers"][0]["pid"]
    replace_file(server.config_path, server.config.render())
    wait_until(lambda: not is_running(worker), "the pool's worker ends with the pool")
    wait_until(lambda: len(ask(server, verb="status")["pools"]) == 1, "the pool is gone")
    assert server.get("/a.txt").body == b"a"


def test_duplicate_binding(servers):
    """The first site keeps it; the second does not start, and an event says so."""
    first = Site()
    second = Site(name="b", id=2, folder="b", bindings=list(first.bindings))
    server = servers.sites(first, second, files=FILES)
    server.tolerate_events("already belongs to site")
    server.wait_event("already belongs to site")
    assert server.get("/a.txt").body == b"a"
    states = {s["id"]: s["state"] for s in ask(server, verb="status")["sites"]}
    assert states == {1: "Started", 2: "Stopped"}


def test_invalid_change_keeps_the_old_configuration(servers):
    server = servers.sites(Site(), files=FILES)
    server.tolerate_events("5172")
    good = server.config.render()
    replace_file(server.config_path, good.replace("</configuration>", ""))
    event = server.wait_event("5172")
    assert "applicationHost.config" in event["text"]
    assert server.get("/a.txt").body == b"a"
    assert any("applicationHost.config:" in line for line in server.lines)
    replace_file(server.config_path, good + "<!-- again -->")
    server.wait_event("generation 2")
    assert server.get("/a.txt").body == b"a"


def test_children_end_with_the_supervisor(servers):
    server = servers.sites(Site(), files=FILES)
    assert server.get("/a.txt").status == 200
    children = [*server.find("listener"), *server.find("worker")]
    server.exit_code = -signal.SIGKILL
    server.process.kill()
    server.process.wait(30)
    for pid in children:
        wait_until(lambda pid=pid: not is_running(pid), f"process {pid} ends")


def test_listener_is_replaced_with_its_ports(servers):
    server = servers.sites(Site(), files=FILES)
    server.tolerate_events("1016")
    assert server.get("/a.txt").status == 200
    old = server.find("listener")[0]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: server.find("listener") not in ([], [old]), "another listener")
    assert server.get("/a.txt").status == 200
    event = server.wait_event("1016")
    assert str(old) in event["text"]


@pytest.mark.root                         # others may not look into the processes
def test_environment_variables_of_a_pool(servers):
    pool = Pool("DefaultAppPool",
                inner='<environmentVariables><add name="CANDOR_TEST" value="yes" /></environmentVariables>')
    server = servers.sites(Site(), pools=[pool], files=FILES, environment={"NOTIFY_SOCKET": "/nowhere"})
    assert server.get("/a.txt").status == 200
    with open(f"/proc/{server.find('worker')[0]}/environ", "rb") as file:
        names = dict(v.split(b"=", 1) for v in file.read().split(b"\0") if b"=" in v)
    assert names[b"CANDOR_TEST"] == b"yes" and names[b"APP_POOL_ID"] == b"DefaultAppPool"
    assert b"NOTIFY_SOCKET" not in names


def test_what_is_not_served_is_said(servers):
    """A binding of a protocol to come and an application without pool: the rest of the site works."""
    lost = '<application path="/lost" applicationPool="NoSuchPool">' \
           r'<virtualDirectory path="/" physicalPath="%SystemDrive%\b" /></application>'
    site = Site(applications=lost)
    config = AppHost(sites=[site])
    server = servers(config=config, files=FILES, start=False)
    text = config.render().replace("<bindings>", f'<bindings><binding protocol="ftp" '
                                                 f'bindingInformation="*:{free_port()}:" />')
    server.config_path.write_text(text)
    server.start()
    server.tolerate_events("ftp binding", "NoSuchPool")
    assert server.get("/a.txt").body == b"a"
    server.wait_event("ftp binding")
    server.wait_event("NoSuchPool")


def test_successor_that_cannot_start(servers):
    """A changed pool whose new worker fails: the old one goes on serving."""
    server = servers.sites(Site(), files={**FILES, "broken/libjansson.so.4": ""})
    server.tolerate_events("5009", "5093")
    server.expected_stderr.append("error while loading shared libraries")
    assert server.get("/a.txt").body == b"a"
    old = server.find("worker")
    server.config.pools[0].inner = '<environmentVariables><add name="LD_LIBRARY_PATH" value="%s" />' \
                                   "</environmentVariables>" % (server.drive / "broken")
    replace_file(server.config_path, server.config.render())
    server.wait_event("5093")
    assert server.get("/a.txt").body == b"a"
    assert server.find("worker") == old
    server.config.pools[0].inner = ""
    replace_file(server.config_path, server.config.render())
    wait_until(lambda: server.find("worker") not in (old, []), "a worker of the corrected pool")
    assert server.get("/a.txt").body == b"a"


@pytest.mark.root                         # the limit of another process
def test_successor_that_cannot_be_made(servers):
    """No descriptors for it: the old one serves on, and can be replaced once there are some again."""
    server = servers.sites(Site(), files=FILES)
    server.tolerate_events("5022", "5093")
    assert server.get("/a.txt").body == b"a"
    old = server.find("worker")
    limit = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 3, limit[1]))
    ask(server, verb="pool", action="recycle", name="DefaultAppPool")
    server.wait_event("5022")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limit)
    assert server.get("/a.txt").body == b"a" and server.find("worker") == old
    ask(server, verb="pool", action="recycle", name="DefaultAppPool")
    wait_until(lambda: server.find("worker") not in (old, []) and len(server.find("worker")) == 1, "a successor after all")
    server.wait_event("5093")
    assert server.get("/a.txt").body == b"a"


def test_recycle_after_a_number_of_requests(servers):
    """The worker that has served them is replaced, and nobody notices but the event log."""
    pool = Pool("DefaultAppPool", inner='<recycling><periodicRestart requests="20" /></recycling>')
    server = servers.sites(Site(), pools=[pool], files=FILES)
    assert server.get("/a.txt").body == b"a"
    first = server.find("worker")
    assert len(first) == 1
    for _ in range(18):
        assert server.get("/nothing").status == 404      # the response cache keeps no such answer
    assert "'id': 5075" not in str(read_events(server.drive)) and server.find("worker") == first

    def replaced():
        assert server.get("/nothing").status == 404
        workers = server.find("worker")
        return len(workers) == 1 and workers != first
    wait_until(replaced, "another worker", pause=0.05)
    event = server.wait_event("'id': 5075")
    assert str(first[0]) in str(event)


def test_listener_that_takes_no_orders(servers):
    """What cannot be told to a listener must not be forgotten: it is replaced by one that is told all."""
    server = servers.sites(Site(), Site(name="b", id=2, folder="b"), files=FILES)
    server.tolerate_events("1028", "1016")
    server.expected_stderr.append("the listener")
    assert server.get("/a.txt").body == b"a"
    pid = server.find("listener")[0]
    os.kill(pid, signal.SIGSTOP)
    line = json.dumps({"verb": "pool", "action": "start", "name": "DefaultAppPool"}).encode() + b"\n"
    stop = json.dumps({"verb": "site", "action": "stop", "id": 2}).encode() + b"\n"
    held = []
    try:
        for text in [stop] + [line] * 30:        # each is an order, and a question whether it is followed
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            control.connect(str(server.control))
            control.sendall(text * 40)
            held.append(control)
        event = server.wait_event("'id': 1028", limit=60)
        assert "listener" in str(event) and str(pid) in str(event)
        wait_until(lambda: server.find("listener") not in ([], [pid]), "another listener")
    finally:
        for control in held:
            control.close()
        if is_running(pid):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: is_refused(server.address("b")), "the order is followed")
    assert server.get("/a.txt").body == b"a"
