"""`candor check` and the certificates of bindings: what it says before anything is served."""
import json
import pathlib
import subprocess

from harness.tls import file_of, https, put, reg, thumbprint


def check(server, *arguments):
    done = subprocess.run([server.binary, "check", "--config", server.config_path, "--system-drive", server.drive, "--format",
                           "json", *arguments], capture_output=True, text=True, timeout=60)
    found = [f for f in json.loads(done.stdout)["findings"] if f["severity"] != "note"]
    assert done.returncode == (1 if any(f["severity"] == "error" for f in found) else 0)
    return [(f["severity"], pathlib.Path(f["file"]).name, f["line"] > 0, f["text"] + " " + f.get("remedy", "")) for f in found]


def test_check_reads_the_certificates_of_bindings(servers, authority, tmp_path):
    """As serving would: each fault with the line of the binding and what to do."""
    pems = {"good.pem": authority.pem("good.test"), "old.pem": authority.pem("old.test", days=-1),
            "other.pem": authority.pem("else.test"),
            "torn.pem": authority.make("torn.test")[0].read_text() + authority.make("torn.test")[1].read_text()}
    for name, pem in pems.items():
        put(tmp_path / name, pem)
    put(tmp_path / "open.pem", authority.pem("open.test"), 0o644)
    sites = [https(4430 + i, f"{name.split('.')[0]}.test", 1, file_of(tmp_path / name), id=i + 1, name=f"S{i}")
             for i, name in enumerate(["good.pem", "old.pem", "other.pem", "torn.pem", "open.pem", "missing.pem"])]
    server = servers.sites(*sites, https(4440, id=9, name="None"), start=False)
    found = check(server)
    expected = [("warning", "old.pem", "is not valid since"), ("warning", "other.pem", "is not for the host other.test"),
                ("error", "torn.pem", "key"), ("error", "open.pem", "every user of this machine may read"),
                ("error", "missing.pem", "No such file"), ("warning", "neither the binding nor SslBindingInfo", "certificateFile")]
    assert len(found) == len(expected), found
    for severity, first, second in expected:
        assert any(f[0] == severity and f[1] == server.config_path.name and f[2] and first in f[3] and second in f[3]
                   for f in found), (first, found)


def test_check_reads_the_registry_beside_or_named(servers, authority):
    old, good = authority.make("old.test", days=-1), authority.make("good.test")
    server = servers.sites(https(4430), https(4431, id=2, name="Two"), https(4432, id=3, name="Three"), start=False, reg=reg({
        r"SslBindingInfo\127.0.0.1:4430": {"SslCertHash": thumbprint(good[0])},
        r"SslBindingInfo\127.0.0.1:4431": {"SslCertHash": thumbprint(old[0])},
        r"SslBindingInfo\127.0.0.1:4432": {"SslCertHash": "00" * 20}}))
    for i, pair in enumerate((old, good)):
        put(server.drive / f"certs/MY/{i}.pem", pair[0].read_text() + pair[1].read_text())
    beside = server.config_path.parent / "http.reg"
    assert beside.exists()
    found = check(server)
    assert [f[:3] for f in found] == [("warning", "http.reg", True), ("error", "http.reg", True)], found
    assert "is not valid since" in found[0][3] and "0000000000" in found[1][3]
    named = beside.rename(server.drive / "elsewhere.reg")
    assert [f[1] for f in check(server, "--http-parameters", named)] == ["elsewhere.reg"] * 2
    assert all("neither the binding nor" in f[3] for f in check(server))
    assert ("error", "none.reg") in [f[:2] for f in check(server, "--http-parameters", server.drive / "none.reg")]


def test_check_reads_the_central_store(servers, authority):
    server = servers.sites(https(4430, flags=2), start=False)
    assert "has no certificate" in check(server)[0][3]
    put(server.drive / "certs/central/good.test.pem", authority.pem("good.test"))
    put(server.drive / "certs/central/_.star.test.pem", authority.pem("*.star.test"))
    assert not check(server)
    put(server.drive / "certs/central/wrong.test.pem", authority.pem("good.test"))
    put(server.drive / "certs/central/broken.test.pem", "nothing")
    found = sorted(check(server))
    assert [f[0] for f in found] == ["error", "warning"]
    assert "broken.test.pem" in found[0][3] and "is not for the host wrong.test" in found[1][3]
