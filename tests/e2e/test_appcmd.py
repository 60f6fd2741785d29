"""candor appcmd: the forms of appcmd.exe, over the control socket of a running server."""
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from harness import Pool, Site, wait_until
from harness.server import BINARY, make_drive
from test_supervisor import is_refused

FILES = {"inetpub/wwwroot/a.txt": "a", "inetpub/wwwroot/below/b.txt": "b", "b/a.txt": "b"}


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers.sites(
        Site(), Site(name="b &amp; c", id=7, folder="b", pool="Second"),
        pools=[Pool("DefaultAppPool"),
               Pool("Second", 'managedRuntimeVersion="v4.0" managedPipelineMode="Classic"')], files=FILES)


def run(*arguments, control=None, stdin=None, program=None):
    command = program or [str(BINARY), "appcmd"]
    if control:
        arguments = [*arguments, "--control", str(control)]
    return subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, timeout=60)


def appcmd(server, *arguments, code=0, stdin=None):
    done = run(*arguments, control=server.control, stdin=stdin)
    assert done.returncode == code, done
    assert bool(done.stderr) == (code != 0 and not (arguments[0] == "list" and code == 1)), done
    return done.stdout if code == 0 else done.stdout + done.stderr


def site_line(server, name, identifier, state="Started"):
    address, port = server.address(name)
    return f'SITE "{name}" (id:{identifier},bindings:http/{address}:{port}:,state:{state})\n'


def test_list_sites(server):
    first, second = site_line(server, "Default Web Site", 1), site_line(server, "b & c", 7)
    assert appcmd(server, "list", "site") == appcmd(server, "LIST", "sites") == first + second
    assert appcmd(server, "list", "site", "b & c") == second
    assert appcmd(server, "list", "site", "/site.name:B & C") == second
    assert appcmd(server, "list", "site", "-id:1") == first
    assert appcmd(server, "list", "site", "/state:started", "/id:7") == second
    assert appcmd(server, "list", "site", "/state:Stopped", code=1) == ""
    assert appcmd(server, "list", "site", "nobody", code=1) == ""


def test_forms(server):
    assert appcmd(server, "list", "site", "/text:name") == "Default Web Site\nb & c\n"
    assert appcmd(server, "list", "site", "/text:SITE.ID") == "1\n7\n"
    assert appcmd(server, "list", "apppool", "Second", "/text:*") == (
        'APPPOOL\n  APPPOOL.NAME:"Second"\n  PipelineMode:"Classic"\n  RuntimeVersion:"v4.0"\n  state:"Started"\n\n')
    root = ElementTree.fromstring(appcmd(server, "list", "site", "/xml").split("\n", 1)[1])
    assert root.tag == "appcmd" and [e.tag for e in root] == ["SITE", "SITE"]
    assert root[1].attrib["SITE.NAME"] == "b & c" and list(root[1].attrib) == ["SITE.NAME", "SITE.ID", "bindings",
                                                                               "state"]
    root = ElementTree.fromstring(appcmd(server, "list", "wp", "/apppool.name:none", "/xml", code=1).split("\n", 1)[1])
    assert list(root) == []


def test_pools_and_workers(server):
    assert appcmd(server, "list", "apppools") == (
        'APPPOOL "DefaultAppPool" (MgdVersion:,MgdMode:Integrated,state:Started)\n'
        'APPPOOL "Second" (MgdVersion:v4.0,MgdMode:Classic,state:Started)\n')
    assert server.get("/a.txt", site="b & c").body == b"b"
    line = appcmd(server, "list", "wp", "/apppool.name:Second")
    pid = int(re.fullmatch(r'WP "([0-9]+)" \(applicationPool:Second\)\n', line)[1])
    assert pid in server.find("worker")
    assert appcmd(server, "list", "wp", str(pid)) == line
    assert appcmd(server, "recycle", "apppool", "second") == '"Second" successfully recycled\n'
    wait_until(lambda: appcmd(server, "list", "wp", "/apppool.name:Second", "/text:WP.NAME").strip() != str(pid) and
               len(appcmd(server, "list", "wp", "/apppool.name:Second").splitlines()) == 1, "another worker")


def test_stop_and_start_a_site(server):
    address = server.address("b & c")
    assert appcmd(server, "stop", "site", "b & c") == '"b & c" successfully stopped\n'
    assert is_refused(address)
    assert appcmd(server, "list", "site", "/id:7") == site_line(server, "b & c", 7, "Stopped")
    assert "hresult:80070426" in appcmd(server, "stop", "site", "/site.name:b & c", code=1)
    assert appcmd(server, "start", "site", "/id:7") == '"b & c" successfully started\n'
    assert server.get("/a.txt", site="b & c").body == b"b"
    assert "hresult:80070420" in appcmd(server, "start", "site", "b & c", code=1)


def test_stop_and_start_a_pool(server):
    server.expect("Disabled")
    assert appcmd(server, "stop", "apppool", "/apppool.name:Second") == '"Second" successfully stopped\n'
    assert server.get("/nothing", site="b & c").status == 503
    assert "hresult:80070426" in appcmd(server, "recycle", "apppool", "Second", code=1)
    wait_until(lambda: "state:Stopped" in appcmd(server, "list", "apppool", "Second"), "its workers end")
    assert appcmd(server, "start", "apppool", "Second") == '"Second" successfully started\n'
    assert server.get("/a.txt", site="b & c").body == b"b"


def test_identifiers_from_another_call(server):
    listed = appcmd(server, "list", "apppool", "/state:Started", "/xml")
    assert appcmd(server, "recycle", "apppool", "/in", stdin=listed) == (
        '"DefaultAppPool" successfully recycled\n"Second" successfully recycled\n')
    server.get("/a.txt", site="b & c")
    workers = appcmd(server, "list", "wp", "/apppool.name:Second", "/xml")
    assert appcmd(server, "list", "apppool", "/in", stdin=workers) == (
        'APPPOOL "Second" (MgdVersion:v4.0,MgdMode:Classic,state:Started)\n')
    for wrong in ("", "no XML", "<appcmd><APPPOOL"):
        assert "ERROR (" in appcmd(server, "recycle", "apppool", "/in", stdin=wrong, code=1)
    assert "ERROR (" in appcmd(server, "recycle", "apppool", "/in", stdin="<appcmd />", code=1)


def test_cache(server):
    address, port = server.address("Default Web Site")
    base = f"http://{address}:{port}"

    def fill():
        for path in ("/a.txt", "/below/b.txt"):
            for _ in range(4):
                assert server.get(path).status == 200

    def urls():
        return set(appcmd(server, "list", "cache", "/text:url").split())
    fill()
    wait_until(lambda: fill() or urls() == {base + "/a.txt", base + "/below/b.txt"}, "both are kept")
    line = appcmd(server, "list", "cache", base + "/a.txt")
    assert re.fullmatch(rf'CACHE "{re.escape(base)}/a\.txt" \(site:1,status:200,bytes:1,coding:,idle:[0-9]+\)\n', line)
    assert appcmd(server, "clear", "cache", f"/url:{base}/below", "/subtree") == f'"{base}/below" successfully cleared\n'
    assert urls() == {base + "/a.txt"}
    assert appcmd(server, "clear", "cache") == '"*" successfully cleared\n'
    assert urls() == set()
    assert "http://" in appcmd(server, "clear", "cache", "/url:/a.txt", code=1)


@pytest.mark.parametrize("arguments", [
    [], ["list"], ["dance", "site"], ["list", "moon"], ["add", "site"], ["recycle", "site", "x"], ["stop", "site"],
    ["recycle", "apppool"], ["list", "site", "/text:colour"], ["list", "site", "/colour:red"], ["list", "site", "/in:x"],
    ["clear", "cache", "/in"], ["list", "cache", "/subtree"], ["stop", "wp", "1"], ["list", "site", "--control"],
    ["list", "site", *[f"/id:{i}" for i in range(17)]],
])
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("candor: appcmd: ")


def test_no_server():
    drive = make_drive()
    for path in (drive / "none", "/" + "x" * 200):
        done = run("list", "site", control=path)
        assert done.returncode == 1 and done.stderr.startswith("ERROR ( message:no server answers at")
    drive.rmdir()


def test_the_default_socket(servers):
    """Without --control, server and command agree on where the socket is."""
    drive = make_drive()
    environment = {"XDG_RUNTIME_DIR": str(drive), "HOME": str(drive)}
    where = "/run/candor/control" if os.geteuid() == 0 else str(drive / "candor/control")
    done = subprocess.run([str(BINARY), "appcmd", "list", "site"], capture_output=True, text=True, timeout=20,
                          env={**os.environ, **environment})
    assert done.returncode in (0, 1) and (done.returncode == 0 or where in done.stderr)
    drive.rmdir()


def test_called_appcmd(server, tmp_path):
    """Installed as a link, the program is this command; help is that of the command."""
    link = tmp_path / "appcmd"
    link.symlink_to(BINARY)
    done = run("list", "site", "/text:id", control=server.control, program=[str(link)])
    assert (done.returncode, done.stdout) == (0, "1\n7\n")
    for question in ("--help", "/?", "-?"):
        assert run(question, program=[str(link)]).stdout == run("--help").stdout
    assert "recycle apppool" in run("--help").stdout
