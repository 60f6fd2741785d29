"""Where requests go: the kinds of UrlPrefix in their order, reservations, the listen list, sites that come,
go and collide, sockets that a service manager passes."""
import json
import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

from harness import Site, wait_until
from harness.client import build
from harness.listener_answers import own_answer
from harness.server import can_have_private_network, free_port, socket_count
from test_supervisor import ask, is_refused

NAMES = ("one", "two", "three", "four", "five")
FILES = {f"{name}/a.txt": name for name in NAMES}
PARAMETERS = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\HTTP\Parameters"


def site(number, *bindings, **more):
    name = NAMES[number - 1]
    return Site(name=name, id=number, folder=name, bindings=list(bindings), **more)


def registry(*lines):
    return "\r\n".join(["Windows Registry Editor Version 5.00", "", *lines, ""]).encode()


def fetch(server, address, host, target="/a.txt"):
    """The body of a 200, else the status."""
    with server.connect(address=address) as conn:
        conn.send(build("GET", target, host=host))
        answer = conn.read()
        return answer.body.decode() if answer.status == 200 else answer.status


def refuse(server, address, host, reason, target="/a.txt"):
    server.expect(reason)
    with server.connect(address=address) as conn:
        conn.send(build("GET", target, host=host))
        own_answer(conn.read_to_end(), reason)
        return server.httperr_for(conn.port)


def count_sockets(server):
    """Once its ports are as they are to stay: what the end check compares with."""
    server.idle_sockets = socket_count(server.find("listener")[0])


# --- kinds of prefixes ---

@pytest.fixture(scope="module")
def kinds(module_servers):
    port = free_port()
    server = module_servers.sites(
        site(1, f"127.0.0.2:{port}:a.test"), site(2, f"*:{port}:a.test"), site(3, f"*:{port}:*.a.test"),
        site(4, f"127.0.0.2:{port}:"), site(5, f"*:{port}:"), files=FILES)
    server.at = port
    return server


@pytest.mark.parametrize("address,host,wanted", [
    ("127.0.0.2", "a.test", "one"), ("127.0.0.1", "a.test", "two"), ("127.0.0.1", "A.TEST", "two"),
    ("127.0.0.1", "b.a.test", "three"), ("127.0.0.2", "c.b.a.test", "three"), ("127.0.0.2", "other.test", "four"),
    ("127.0.0.1", "other.test", "five"), ("127.0.0.3", "xa.test", "five"),
    pytest.param("::1", "a.test", "two", marks=pytest.mark.ipv6),
    pytest.param("::1", "[::1]", "five", marks=pytest.mark.ipv6)])
def test_order_of_kinds(kinds, address, host, wanted):
    assert fetch(kinds, (address, kinds.at), host) == wanted


def test_longest_host_wildcard(servers):
    port = free_port()
    server = servers.sites(site(1, f"*:{port}:*.test"), site(2, f"*:{port}:*.b.test"), site(3, f"*:{port}:c.b.test"),
                           files=FILES)
    where = ("127.0.0.1", port)
    assert fetch(server, where, "x.test") == "one"
    assert fetch(server, where, "x.b.test") == "two"
    assert fetch(server, where, "b.test") == "one"
    assert fetch(server, where, "c.b.test") == "three"
    refuse(server, where, "test", "Hostname")


def test_path_that_a_host_does_not_have_goes_to_the_next_kind(servers):
    port = free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:a.test", root_path="/app"), site(2, f"127.0.0.1:{port}:"),
                           files=FILES)
    server.tolerate_events(".")           # a site without a root application is worth an event
    where = ("127.0.0.1", port)
    assert fetch(server, where, "a.test", "/app/a.txt") == "one"
    assert fetch(server, where, "a.test", "/APP/a.txt") == "one"
    assert fetch(server, where, "a.test") == "two"
    assert fetch(server, where, "b.test", "/app/a.txt") == 404, "the other site has no such folder"


def test_strong_wildcard(servers):
    """Its prefixes come before those of names."""
    port = free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:a.test"), site(2, f"+:{port}:", root_path="/strong"),
                           files=FILES)
    server.tolerate_events(".")
    where = ("127.0.0.1", port)
    assert fetch(server, where, "a.test", "/strong/a.txt") == "two"
    assert fetch(server, where, "b.test", "/strong/a.txt") == "two"
    assert fetch(server, where, "a.test") == "one"
    refuse(server, where, "b.test", "NotFound")


def test_reserved_prefixes(servers):
    port = free_port()
    acl = "=hex:01,00,04,80"
    server = servers.sites(
        site(1, f"127.0.0.1:{port}:a.test"), site(2, f"127.0.0.1:{port}:"), files=FILES,
        reg=registry(f"[{PARAMETERS}\\UrlAclInfo]", f'"http://+:{port}/kept/"{acl}',
                     f'"http://a.test:{port}/mine/"{acl}', f'"https://+:{port}/a.txt/"{acl}'))
    where = ("127.0.0.1", port)
    row = refuse(server, where, "a.test", "N/A", "/kept/x")
    assert (row["sc-status"], row["s-siteid"], row["s-queuename"]) == ("503", "-", "-")
    refuse(server, where, "b.test", "N/A", "/KEPT/x")
    refuse(server, where, "a.test", "N/A", "/mine")
    assert fetch(server, where, "a.test", "/keptx") == 404
    assert fetch(server, where, "b.test", "/mine/x") == 404, "reserved for another host"
    assert fetch(server, where, "a.test") == "one"


# --- addresses ---

@pytest.mark.ipv6
def test_ipv6_address(servers):
    port = free_port()
    server = servers.sites(site(1, f"[::1]:{port}:"), site(2, f"127.0.0.1:{port}:"), files=FILES)
    assert fetch(server, ("::1", port), "x") == "one"
    assert fetch(server, ("127.0.0.1", port), "x") == "two"


@pytest.mark.ipv6
def test_one_site_for_each_family(servers):
    port = free_port()
    server = servers.sites(site(1, f"0.0.0.0:{port}:"), site(2, f"[::]:{port}:"), site(3, f"*:{port}:"), files=FILES)
    assert fetch(server, ("127.0.0.1", port), "x") == "one"
    assert fetch(server, ("::1", port), "x") == "two"


SCOPES = """#!/usr/bin/python3
# Two link-local addresses, on two interfaces of a network of its own, then the server.
import ctypes, fcntl, os, socket, struct, sys
assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"scope0", 0x1001))
os.set_inheritable(tun, True)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
    for name in (b"lo", b"scope0"):
        fcntl.ioctl(c, 0x8914, struct.pack("16sH22x", name, 0x41))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as c:
    for name in ("lo", "scope0"):
        fcntl.ioctl(c, 0x8916, socket.inet_pton(socket.AF_INET6, "fe80::77")
                    + struct.pack("Ii", 64, socket.if_nametoindex(name)))
os.execv({binary!r}, sys.argv)
"""


@pytest.mark.root
@pytest.mark.skipif(not can_have_private_network() or not os.path.exists("/dev/net/tun"), reason="needs a network of its own")
def test_scopes(servers):
    """One link-local address on two interfaces: two bindings, told apart by zone, by name or number."""
    port = free_port()
    server = servers.sites(site(1, f"[fe80::77%lo]:{port}:"), site(2, f"[fe80::77%scope0]:{port}:"), start=False,
                           files=FILES)
    wrap(server, SCOPES)
    server.spawn()
    server.wait_line("^candor: ready$")
    count_sockets(server)
    assert [ask_in_network(server.process.pid, zone, port) for zone in ("lo", "scope0")] == ["one", "two"]


def ask_in_network(pid, zone, port):
    """A request to fe80::77 of one zone, made in the server's network by a process of its own."""
    program = (f"import ctypes, os, socket\n"
               f"assert ctypes.CDLL(None).setns(os.open('/proc/{pid}/ns/net', os.O_RDONLY), 0x40000000) == 0\n"
               f"s = socket.create_connection(('fe80::77%{zone}', {port}), 10)\n"
               f"s.sendall(b'GET /a.txt HTTP/1.0\\r\\n\\r\\n')\n"
               f"data = b''\n"
               f"while more := s.recv(65536): data += more\n"
               f"print(data.split(b'\\r\\n\\r\\n')[1].decode())\n")
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30,
                          check=True).stdout.strip()


def hex_list(*items):
    data = "".join(item + "\0" for item in items) + "\0"
    return "hex(7):" + ",".join(f"{byte:02x}" for byte in data.encode("utf-16-le"))


@pytest.mark.ipv6
def test_listen_list(servers):
    """A binding to all addresses has those of the list; one to another address is not served."""
    port = free_port()
    server = servers.sites(site(1, f"*:{port}:"), site(2, f"127.0.0.1:{port}:b.test"), files=FILES, start=False,
                           arguments=["--threads", "2"],
                           reg=registry(f"[{PARAMETERS}]", f'"ListenOnlyList"={hex_list("127.0.0.2", "::1")}'))
    server.tolerate_events("an address that is listened on")
    server.start()
    assert fetch(server, ("127.0.0.2", port), "x") == "one"
    assert fetch(server, ("::1", port), "x") == "one"
    assert is_refused(("127.0.0.1", port)) and is_refused(("127.0.0.3", port))
    assert re.findall(r"listening on (\S+) \(one\)", server.stderr) == [f"http://127.0.0.2:{port}", f"http://[::1]:{port}"]
    server.wait_event('site \\\\?"two\\\\?" does not start')
    # The list goes: so do its limits.
    server.reg_path.write_bytes(registry(f"[{PARAMETERS}]"))
    wait_until(lambda: not is_refused(("127.0.0.1", port)), "all addresses")
    wait_until(lambda: fetch(server, ("127.0.0.1", port), "b.test") == "two", "the other site")
    wait_until(lambda: listening_sockets(port) == 3 * 2, "0.0.0.0, [::] and 127.0.0.1, one for each thread")
    count_sockets(server)


def test_max_endpoints(servers):
    """Sites beyond the limit do not start, the others do."""
    server = servers.sites(site(1, f"127.0.0.1:{free_port()}:"), site(2, f"127.0.0.1:{free_port()}:"), files=FILES,
                           start=False, reg={"MaxEndpoints": 1})
    server.tolerate_events("MaxEndpoints allows 1")
    server.start()
    server.wait_event("MaxEndpoints allows 1")
    assert server.get("/a.txt", site="one").body == b"one"
    assert {s["id"]: s["state"] for s in ask(server, verb="status")["sites"]} == {1: "Started", 2: "Stopped"}


# --- sites that collide, come and go ---

def test_second_owner_starts_when_the_first_stops(servers):
    port = free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:"), site(2, f"127.0.0.1:{port}:"), files=FILES, start=False)
    server.tolerate_events("already belongs to site")
    server.start()
    where = ("127.0.0.1", port)
    assert fetch(server, where, "x") == "one"
    answer = ask(server, verb="site", action="start", id=2)
    assert not answer["ok"] and "already belongs to site" in answer["error"]
    assert ask(server, verb="site", action="stop", id=1)["ok"]
    assert ask(server, verb="site", action="start", id=2)["ok"]
    wait_until(lambda: fetch(server, where, "x") == "two", "the second site")


def test_stopped_site_leaves_its_prefixes(servers):
    """The port stays open for the other site: the listener answers for the host that is gone."""
    port = free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:a.test"), site(2, f"127.0.0.1:{port}:b.test"), files=FILES)
    where = ("127.0.0.1", port)
    assert fetch(server, where, "a.test") == "one"
    assert ask(server, verb="site", action="stop", id=1)["ok"]
    wait_until(lambda: state_of(server, 1) == "Stopped", "stopped")
    refuse(server, where, "a.test", "Hostname")
    assert fetch(server, where, "b.test") == "two"
    assert ask(server, verb="site", action="start", id=1)["ok"]
    wait_until(lambda: state_of(server, 1) == "Started", "started")
    assert fetch(server, where, "a.test") == "one"


def state_of(server, number):
    return next(s["state"] for s in ask(server, verb="status")["sites"] if s["id"] == number)


def test_http_and_https_on_one_port(servers):
    port = free_port()
    secure = site(2, f"127.0.0.2:{port}:", protocol="https")
    server = servers.sites(site(1, f"127.0.0.1:{port}:"), secure, files=FILES, start=False)
    server.tolerate_events(f"wants port {port} for https")
    server.start()
    event = server.wait_event(f"wants port {port} for https")
    assert event["id"] == 1005
    assert fetch(server, ("127.0.0.1", port), "x") == "one"
    assert is_refused(("127.0.0.2", port))


# --- sockets of a service manager ---

ACTIVATE = """#!/usr/bin/python3
# Opens listening sockets as systemd does, and becomes the server.
import json, os, socket, sys, time
where = json.loads({where!r})
sockets = []
for address, port in where:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == "::":
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind((address, port))
    s.listen(100)
    sockets.append(os.dup2(s.fileno(), 50 + len(sockets)))
print("listening", file=sys.stderr, flush=True)
time.sleep({pause})
for i, fd in enumerate(sockets):
    os.dup2(fd, 3 + i, inheritable=True)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES={names!r})
os.execv({binary!r}, sys.argv)
"""


def wrap(server, text, **values):
    """The server is started by a program of ours."""
    path = pathlib.Path(server.drive) / "starter"
    path.write_text(text.format(binary=str(server.binary), **values))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    server.binary = path


def listening_sockets(port):
    """How many sockets listen on the port."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in
            pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[3] == "0A" and int(row[1].split(":")[-1], 16) == port)


def test_passed_socket(servers):
    """It serves all threads; who has connected before the server ran is answered."""
    port = free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:"), files=FILES, start=False, arguments=["--threads", "3"])
    wrap(server, ACTIVATE, where=json.dumps([("127.0.0.1", port)]), names="web", pause=1)
    server.spawn()
    server.wait_line("^listening$")
    with server.connect(address=("127.0.0.1", port)) as early:
        early.send(build("GET", "/a.txt", host="x"))
        server.wait_line("^candor: ready$")
        assert early.read().body == b"one"
    count_sockets(server)
    assert listening_sockets(port) == 1
    for _ in range(30):
        assert fetch(server, ("127.0.0.1", port), "x") == "one"
    # A reload keeps it, and a site that comes back finds it again.
    assert ask(server, verb="site", action="stop", id=1)["ok"]
    assert ask(server, verb="site", action="start", id=1)["ok"]
    assert fetch(server, ("127.0.0.1", port), "x") == "one"
    assert listening_sockets(port) == 1


@pytest.mark.ipv6
def test_passed_socket_for_all_addresses(servers):
    """What ListenStream=PORT makes: one socket for IPv4 and IPv6."""
    port = free_port()
    server = servers.sites(site(1, f"*:{port}:"), site(2, f"*:{port}:b.test"), files=FILES, start=False)
    wrap(server, ACTIVATE, where=json.dumps([("::", port)]), names="web", pause=0)
    server.spawn()
    server.wait_line("^candor: ready$")
    count_sockets(server)
    assert listening_sockets(port) == 1
    assert fetch(server, ("127.0.0.1", port), "x") == "one"
    assert fetch(server, ("::1", port), "b.test") == "two"
    with server.connect(address=("127.0.0.1", port)) as conn:
        conn.send(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")
        server.expect("Verb")
        conn.read_to_end()
        assert server.httperr_for(conn.port)["c-ip"] == "127.0.0.1", "IPv4 clients are shown as such"


def test_passed_socket_that_nobody_wants(servers):
    port, other = free_port(), free_port()
    server = servers.sites(site(1, f"127.0.0.1:{port}:"), files=FILES, start=False)
    wrap(server, ACTIVATE, where=json.dumps([("127.0.0.1", other)]), names="stray", pause=0)
    server.tolerate_events("belongs to no binding")
    server.spawn()
    server.wait_line("^candor: ready$")
    count_sockets(server)
    assert f"the socket stray for 127.0.0.1 port {other}, which was passed to the server, belongs to no binding" \
        in server.stderr
    assert fetch(server, ("127.0.0.1", port), "x") == "one"


def test_passed_sockets_of_another_process(servers):
    """LISTEN_PID says for whom they are."""
    server = servers.sites(site(1, f"127.0.0.1:{free_port()}:"), files=FILES,
                           environment={"LISTEN_PID": "1", "LISTEN_FDS": "5"})
    assert server.get("/a.txt").body == b"one"
