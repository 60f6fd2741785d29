"""The command itself: usage, messages a new user meets, signals, `check`."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness import AppHost, Pool, Site, wait_until
from harness.client import build
from harness.logs import read_events
from harness.server import BINARY, free_port, is_running, replace_file

FILES = {"a.txt": "a", "big.bin": b"0123456789" * 2_000_000}


def run(*arguments, limit=30, **more):
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True, timeout=limit,
                          env=environment, **more)


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["serve", "--nonsense"], ["serve", "--port"], ["serve", "--port", "x"],
    ["serve", "--port", "65536"], ["serve", "--port", "-1"], ["serve", "a", "b"],
    ["serve", ""], ["serve", "a", "--bind", ""], ["serve", "a", "--bind="], ["serve", "a", "--system-drive="],
    ["serve", "--config", "x.config", "--port", "80"], ["check", "--nonsense"], ["version", "extra"],
])
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 2, done
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("candor")


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["check", "--help"], ["version", "--help"]])
def test_help(arguments):
    done = run(*arguments)
    assert done.returncode == 0 and done.stderr == "" and "candor" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    if arguments[0] == "serve":
        for option in ("--config", "--http-parameters", "--system-drive", "--port", "--bind", "--log", "--control"):
            assert option in done.stdout


def test_version():
    done = run("version")
    assert done.returncode == 0 and re.match(r"candor \d+\.\d+\.\d+", done.stdout)


def test_missing_folder(servers):
    server = servers(start=False)
    done = run("serve", server.drive / "none", "--port", "0", "--system-drive", server.drive)
    assert done.returncode == 1 and "none" in done.stderr and done.stderr.count("\n") == 1


def test_missing_configuration(servers):
    server = servers(start=False)
    done = run("serve", "--config", server.drive / "none.config", "--system-drive", server.drive)
    assert done.returncode == 1 and "none.config" in done.stderr


@pytest.mark.parametrize("text, where, remedy", [
    ("", ":1:1: ", "Correct the XML: "), ("<configuration><a></configuration>", ":1:3[0-9]: ", "Opening and ending tag"),
    (None, ": ", "Is a directory"),
])
def test_configuration_that_cannot_be_read(tmp_path, text, where, remedy):
    """One line with the place and what to do about it."""
    path = tmp_path / "x.config"
    path.mkdir() if text is None else path.write_text(text)
    done = run("serve", "--config", path, "--system-drive", tmp_path / "drive", "--control", tmp_path / "control")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert re.match(re.escape(str(path)) + where, done.stderr) and remedy in done.stderr


def test_event_of_a_broken_file_has_the_remedy(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"})
    server.tolerate_events("5172")
    server.config_path.write_text("<configuration>")
    server.process.send_signal(signal.SIGHUP)
    assert "Correct the XML" in server.wait_event("5172")["text"]


def test_site_whose_folder_is_missing(servers):
    """It starts, as on Windows, but whoever started it learns why nothing comes."""
    server = servers.sites(Site(folder="not-there"), start=False)
    server.tolerate_events("1027", "2307")
    shutil.rmtree(server.drive / "not-there", ignore_errors=True)
    server.start()
    assert "not-there is not there; requests will get 500.19" in server.stderr
    assert server.get("/").status == 500
    assert server.w3c_for("/")["sc-substatus"] == "19"


@pytest.mark.parametrize("edit, line", [
    (lambda text: re.sub(r"<site .*?</site>", "", text, flags=re.S),
     "candor: the configuration has no site: nothing is served until it has one"),
    (lambda text: text.replace("<site ", '<site serverAutoStart="false" ', 1),
     "candor: no site is started: nothing is served until one is"),
])
def test_nothing_to_serve_is_said(servers, edit, line):
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"}, start=False)
    server.config_path.write_text(edit(server.config_path.read_text()))
    server.idle_sockets = None
    server.spawn()
    server.wait_line("^candor: ready$")
    assert line in server.lines


def test_missing_parameters(servers):
    server = servers(start=False)
    done = run("serve", server.drive, "--http-parameters", "/nope.reg", "--system-drive", server.drive)
    assert done.returncode == 1
    assert done.stderr == "candor: /nope.reg: No such file or directory\n"


def test_hosts_of_one_address_are_one_line(servers):
    """They share a socket, and who counts lines counts sockets."""
    port = free_port()
    config = AppHost(sites=[Site(port=port)])
    text = config.render()
    one = re.search(r"<binding [^>]*/>", text)[0]
    for host in ("one.example", "two.example"):
        more = re.sub(r'bindingInformation="([^"]*):[^":]*"', rf'bindingInformation="\1:{host}"', one)
        text = text.replace(one, one + more, 1)
    server = servers(config=config, start=False)
    server.config_path.write_text(text)
    server.start()
    assert len([line for line in server.lines if "listening on" in line]) == 1
    assert server.get("/", host="two.example").status in (403, 404)


def test_findings_are_said_once(servers):
    """Not again at every change of another file."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"}, reg={"MaxFieldLength": 65000})

    def told():
        return len([line for line in server.lines if "MaxFieldLength is lowered" in line])

    def reload(turn):
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len([e for e in read_events(server.drive) if e["id"] == 1004]) >= turn, "in force")
    assert told() == 1
    reload(1)
    reload(2)
    assert told() == 1
    replace_file(server.reg_path, server.reg_path.read_bytes().replace(b'"MaxF', b'; one line further down\r\n"MaxF'))
    reload(3)
    wait_until(lambda: told() == 2, "a changed file is told of again")


@pytest.mark.smoke
def test_folder_with_one_command(servers):
    server = servers(files={"index.html": "<h1>hello</h1>"})
    assert {a for a, _, _ in server.addresses} <= {"127.0.0.1", "::1"}
    assert all(name == "Default Web Site" for _, _, name in server.addresses)
    for address, port, _ in server.addresses:
        with server.connect(address=(address, port)) as conn:
            conn.send(build("GET", "/"))
            assert conn.read().body == b"<h1>hello</h1>"
    assert server.w3c_for("/")["sc-status"] == "200"


def test_port_in_use(servers):
    server = servers(files={"a.txt": "a"}, start=False)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run("serve", server.root, "--port", port, "--bind", "127.0.0.1", "--system-drive", server.drive,
                   "--control", server.control)
    assert done.returncode == 1
    assert str(port) in done.stderr and re.search("in use", done.stderr, re.I)
    assert "ready" not in done.stderr


def test_one_of_two_ports_in_use(servers):
    """A site whose port is taken is reported; the others are served."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = servers.sites(Site(), Site(name="taken", id=2, folder="taken", port=port),
                               files={"inetpub/wwwroot/a.txt": "a"}, start=False)
        server.tolerate_events(str(port))
        server.spawn()
        wait_until(lambda: server.process.poll() is not None or "candor: ready" in server.lines, "a decision")
        text = server.stderr
        assert str(port) in text and re.search("in use", text, re.I)
        if server.process.poll() is not None:
            server.exit_code = 1


def test_lowest_ports_without_privileges(servers):
    user = 65534 if os.geteuid() == 0 else None
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as setting:
        if int(setting.read()) <= 81:
            pytest.skip("every user may take low ports here")
    server = servers(files={"a.txt": "a"}, start=False, as_user=user)
    server.arguments[server.arguments.index("--port") + 1] = "81"
    server.exit_code = 1
    server.spawn()
    server.process.wait(20)
    wait_until(lambda: "81" in server.stderr, lambda: server.stderr)


def test_two_servers_on_one_control_socket(servers):
    first = servers(files={"a.txt": "a"})
    second = servers(files={"a.txt": "a"}, start=False)
    second.arguments[second.arguments.index("--control") + 1] = str(first.control)
    second.exit_code = 1
    second.spawn()
    second.process.wait(20)
    assert first.get("/a.txt").body == b"a"


def test_control_socket_left_by_a_dead_server(servers):
    server = servers(files={"a.txt": "a"}, start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(server.control))
    server.start()
    assert server.get("/a.txt").body == b"a"


# --- signals ---

@pytest.mark.smoke
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_finishes_what_is_in_flight(servers, how):
    server = servers(files=FILES)
    conn = server.connect(receive_buffer=131072)
    idle = server.connect()
    idle.send(build("GET", "/a.txt"))
    assert idle.read().body == b"a"
    conn.send(build("GET", "/big.bin"))
    conn.read_head()
    server.process.send_signal(how)
    assert idle.ended(within=10), "an idle connection is closed at once"

    def refused():
        try:
            socket.create_connection(server.address(), 1).close()
            return False
        except OSError:
            return True
    wait_until(refused, "no new connections")
    assert server.process.poll() is None
    assert len(conn.read_to_end()) == 20_000_000
    assert server.process.wait(20) == 0
    rows = server.w3c(wait=lambda r: r["cs-uri-stem"] == "/big.bin")
    assert rows[-1]["sc-status"] == "200"


def test_signals_that_its_parent_ignores(servers):
    """Shells ignore SIGINT for their background jobs, nohup SIGHUP, some supervisors SIGCHLD: the server does not
    inherit that."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"}, start=False)
    parent = server.drive / "parent"
    parent.write_text(f"""#!/usr/bin/python3
import os, signal, sys
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
os.execv({str(BINARY)!r}, [{str(BINARY)!r}, *sys.argv[1:]])
""")
    parent.chmod(0o755)
    server.binary = parent
    server.start()
    assert server.get("/a.txt").body == b"a"
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("generation 2")
    server.process.send_signal(signal.SIGINT)
    server.exit_code = 0
    assert server.process.wait(60) == 0


def test_second_signal_stops_at_once(servers):
    server = servers(files=FILES)
    server.tolerate("Connection_Dropped", "Connection_Abandoned_By_ReqQueue")
    server.exit_code = None
    conn = server.connect(receive_buffer=8192)
    conn.send(build("GET", "/big.bin"))
    conn.read_head()
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(server), "no new connections")
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)               # of the 90 s that the first signal would have given it


def accepts(server):
    try:
        socket.create_connection(server.address(), 1).close()
        return True
    except OSError:
        return False


def test_shutdown_time_limit(servers):
    """A client that never reads can't hold the stop longer than the pool's shutdownTimeLimit."""
    pool = Pool("DefaultAppPool", inner='<processModel shutdownTimeLimit="00:00:02" />')
    server = servers.sites(Site(), pools=[pool], files={f"inetpub/wwwroot/{k}": v for k, v in FILES.items()})
    server.tolerate("Connection_Dropped", "Connection_Abandoned_By_ReqQueue", "Timer_MinBytesPerSecond")
    server.tolerate_events("5013")
    with server.connect(receive_buffer=4096) as conn:
        conn.send(build("GET", "/big.bin"))
        conn.read_head()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(12) == 0


def test_hang_up_reads_the_configuration_again(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a", "other/a.txt": "other"})
    with server.connect() as conn:
        conn.send(build("GET", "/a.txt"))
        assert conn.read().body == b"a"
        text = server.config_path.read_text()
        server.config_path.write_text(text.replace("inetpub\\wwwroot", "other"))
        server.process.send_signal(signal.SIGHUP)

        def other():
            conn.send(build("GET", "/a.txt"))
            return conn.read().body == b"other"
        wait_until(other, "the new folder is served on the old connection")


def test_hang_up_with_a_broken_file(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"})
    server.config_path.write_text("<configuration>")
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("5172")
    server.tolerate_events("5172")
    assert server.get("/a.txt").body == b"a"


@pytest.mark.root                         # others may not look into the processes
def test_many_reloads_leave_nothing_behind(servers):
    """Neither processes nor descriptors pile up."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"})
    assert server.get("/a.txt").body == b"a"

    def descriptors():
        return {pid: len(os.listdir(f"/proc/{pid}/fd"))
                for pid in [server.process.pid, *server.find("listener"), *server.find("worker")]}
    before = None
    for turn in range(30):
        replace_file(server.config_path, server.config.render() + f"<!-- {turn} -->")
        server.process.send_signal(signal.SIGHUP)
        assert server.get("/a.txt").body == b"a"
        if turn == 5:
            before = descriptors()
    wait_until(lambda: sum(descriptors().values()) <= sum(before.values()) + 8,
               lambda: f"descriptors before {before}, after {descriptors()}")


def test_ready_is_told_to_systemd(servers, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        server = servers(files={"a.txt": "a"}, start=False)
        path = server.drive / "notify"
        manager.bind(str(path))
        path.chmod(0o777)
        manager.settimeout(20)
        server.environment["NOTIFY_SOCKET"] = str(path)
        server.start()
        message = manager.recv(4096)
        while b"READY=1" not in message:
            message = manager.recv(4096)


def test_log_to_standard_output(servers):
    server = servers(files={"a.txt": "a"}, arguments=["--log", "stdout"])
    server.expect("Verb", 0)
    server.tolerate("Verb")
    server.get("/a.txt?to-stdout")
    server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")

    def lines():
        return [json.loads(line) for line in list(server.stdout_lines)]
    wait_until(lambda: any("to-stdout" in str(x) for x in lines()) and any("Verb" in str(x) for x in lines()),
               lambda: str(server.stdout_lines))


def test_terminal_is_not_needed(servers):
    """No colours, no progress when nobody looks."""
    server = servers(files={"a.txt": "a"})
    assert "\x1b" not in server.stderr


def test_started_as_an_ordinary_user(servers):
    user = 65534 if os.geteuid() == 0 else None
    server = servers(files={"a.txt": "a"}, as_user=user)
    assert server.get("/a.txt").body == b"a"
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in [server.process.pid, *server.look()] if is_running(pid)}
    assert owners == {65534 if os.geteuid() == 0 else os.geteuid()}


# --- check ---

BAD = '<configuration>\n  <system.webServer>\n    <directoryBrowse enabled="maybe" />\n  </system.webServer>\n' \
      "</configuration>\n"
GOOD = BAD.replace("maybe", "true")


def test_check_finds_what_serving_would_find(tmp_path):
    path = tmp_path / "web.config"
    path.write_text(BAD)
    done = run("check", path)
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(str(path))}:3:\d+: error: .*enabled.* \[0x8007000d\]( \(.*directoryBrowse\))?$",
                     done.stdout, re.M), done.stdout
    path.write_text(GOOD)
    done = run("check", path)
    assert done.returncode == 0 and ": error:" not in done.stdout


def test_check_as_json(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "web.config").write_text(GOOD)
    (tmp_path / "sub" / "web.config").write_text(BAD)
    done = run("check", tmp_path, "--format", "json")
    result = json.loads(done.stdout)
    assert done.returncode == 1 and set(result) >= {"files", "findings", "sections"}
    errors = [f for f in result["findings"] if f["severity"] == "error"]
    assert len(errors) == 1 and set(errors[0]) >= {"file", "line", "column", "code", "section", "text"}
    assert (errors[0]["line"], errors[0]["code"]) == (3, "0x8007000d")
    assert errors[0]["file"].endswith("sub/web.config")
    assert all(s["support"] in ("full", "partial", "ignored") for s in result["sections"])


def test_check_the_server_file(servers):
    server = servers(config=AppHost(), start=False)
    done = run("check", "--config", server.config_path, "--system-drive", server.drive)
    assert done.returncode == 0, done.stdout
    server.config_path.write_text(AppHost(web_limits='connectionTimeout="soon"').render())
    done = run("check", "--config", server.config_path, "--system-drive", server.drive)
    assert done.returncode == 1 and "connectionTimeout" in done.stdout


def test_check_of_parameters(tmp_path):
    path = tmp_path / "http.reg"
    path.write_text("Windows Registry Editor Version 5.00\r\n\r\n"
                    "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\HTTP\\Parameters]\r\n"
                    '"MaxFieldLength"=dword:00000001\r\n')
    done = run("check", path)
    assert "MaxFieldLength" in done.stdout and re.search(r"http\.reg:4:", done.stdout)


def test_check_of_nothing(tmp_path):
    done = run("check", tmp_path / "none")
    assert done.returncode == 1 and "none" in done.stdout + done.stderr


def test_example_site_is_clean():
    """Only the folder that is broken on purpose is reported."""
    examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
    done = run("check", examples, "--format", "json")
    errors = {pathlib.Path(f["file"]).parent.name for f in json.loads(done.stdout)["findings"]
              if f["severity"] == "error"}
    assert errors == {"typo", "locked"}


@pytest.mark.root
def test_unreadable_folder_is_said_at_start(servers):
    """A folder above the site that the pool's user cannot walk through, and the remedy."""
    server = servers(files={"a.txt": "a"}, start=False)
    closed = server.drive / "closed"
    closed.mkdir(mode=0o700)
    site = server.root.rename(closed / "site")
    server.arguments[0] = str(site)
    server.tolerate_events("1027")
    server.start()
    line = next(line for line in server.lines if "candor-defaultapppool" in line)
    assert f"may not walk through the folder {closed} (mode 0700" in line
    assert f"`chmod o+x {closed}`" in line
    closed.chmod(0o711)                   # the remedy
    assert server.get("/a.txt").body == b"a"


@pytest.mark.root
def test_unreadable_web_config_is_said_once(servers):
    """web.config itself; a site that can be read is not mentioned."""
    server = servers.sites(Site(), Site(name="b", id=2, folder="b"), start=False,
                           files={"inetpub/wwwroot/a.txt": "a", "b/web.config": "<configuration />"})
    secret = server.drive / "b" / "web.config"
    secret.chmod(0o600)
    server.tolerate_events("1027")
    server.start()
    said = [line for line in server.lines if "the worker's user" in line]
    assert len(said) == 1 and f"may not read the file {secret}" in said[0] and 'site "b"' in said[0]


@pytest.mark.parametrize("address, why", [("192.0.2.1", "this machine has no such address"),
                                          ("foo", "that is not an address")])
def test_address_that_cannot_be_bound(tmp_path, address, why):
    ended = subprocess.run([BINARY, "serve", tmp_path, "--port", "0", "--bind", address, "--system-drive",
                            tmp_path / "drive", "--control", tmp_path / "control"],
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1 and ended.stderr == f"candor: cannot listen on {address}: {why}\n"


def test_drive_without_write_permission_is_said(servers):
    """It serves all the same; without the line nobody would know where the logs are."""
    user = 65534 if os.geteuid() == 0 else None
    server = servers(files={"a.txt": "a"}, start=False, as_user=user)
    frozen = server.drive / "frozen"
    frozen.mkdir()
    frozen.chmod(0o555)
    server.arguments[server.arguments.index("--system-drive") + 1] = str(frozen)
    server.start()
    assert f"candor: {frozen}/inetpub/logs: Permission denied; events are not written" in server.stderr
    assert server.get("/a.txt").body == b"a"


def test_printed_config_can_be_served(servers):
    """What --print-config writes is complete: with a port of its own it serves."""
    text = subprocess.run([BINARY, "serve", "--print-config"], capture_output=True, text=True, check=True,
                          timeout=20).stdout
    assert text.count("*:80:") == 1
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a"}, start=False)
    server.config_path.write_text(text.replace("*:80:", f"127.0.0.1:{free_port()}:"))
    server.start()
    assert server.get("/a.txt").body == b"a"
    alone = subprocess.run([BINARY, "serve", "--print-config", "--port", "1"], capture_output=True, text=True,
                           timeout=20)
    assert alone.returncode == 2 and alone.stdout == "" and "stands alone" in alone.stderr
