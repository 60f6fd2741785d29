"""candor explain as people and scripts use it: text, JSON, exit codes, terminals; and that the command
lines it gives for reproducing a code do provoke that code.
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import termios

import pytest

from harness import Site, read_httperr, wait_until
from harness.server import BINARY

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

# A term of each kind, and what the first entry must say.
SAMPLES = [
    ("404.8", dict(kind="http", code="404.8", status=404, substatus=8, title="Hidden namespace",
                   component="RequestFilteringModule", logged_in="iis", win32=[])),
    ("503", dict(kind="http", code="503", status=503, substatus=0, logged_in="httperr")),
    ("404.0", dict(kind="http", code="404.0", status=404, substatus=0, logged_in="iis", win32=[2, 3, 123])),
    ("QueueFull", dict(kind="httperr", code="QueueFull", status=503, substatus=None, logged_in="httperr")),
    ("Timer_ConnectionIdle", dict(kind="httperr", code="Timer_ConnectionIdle", status=None)),
    ("ftp 530", dict(kind="ftp", code="530", status=530, substatus=None)),
    ("ftp 530.36", dict(kind="ftp", code="530.36", status=530, substatus=36)),
    ("ftp substatus 8", dict(kind="ftp", code="substatus 8", status=None, substatus=8)),
    ("win32 64", dict(kind="win32", code="64", name="ERROR_NETNAME_DELETED", win32=[64])),
    ("0x80070021", dict(kind="hresult", code="0x80070021", name="ERROR_LOCK_VIOLATION", win32=[33])),
    ("-2147024865", dict(kind="hresult", code="0x8007001f", win32=[31])),
    ("2147942433", dict(kind="hresult", code="0x80070021")),
    ("MaxFieldLength", dict(kind="parameter", code="MaxFieldLength", status=None)),
    ("was 5002", dict(kind="event", code="WAS-5002")),
    ("sc-win32-status", dict(kind="field", code="sc-win32-status")),
]
SCHEMA = {"kind": str, "code": str, "status": (int, type(None)), "substatus": (int, type(None)), "title": str,
          "component": (str, type(None)), "logged_in": str, "meaning": str, "versions": list, "causes": list,
          "remedies": list, "settings": list, "win32": list, "reproduce": (str, type(None)), "sources": list,
          "term": str, "name": (str, type(None)), "note": (str, type(None)), "command": (str, type(None)),
          "on_windows": list, "on_candor": list, "substatuses": list, "see_also": list, "errors": list}


def explain(*words, env=None):
    environment = dict(os.environ, **(env or {}))
    return subprocess.run([str(BINARY), "explain", *words], capture_output=True, text=True, timeout=60,
                          env=environment, check=False)


def explain_json(*words):
    done = explain(*words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def on_terminal(*words, columns=80, env=None):
    """What a terminal of that width gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment.update({"TERM": "xterm-256color"}, **(env or {}))
    child = subprocess.Popen([str(BINARY), "explain", *words], stdin=theirs, stdout=theirs, stderr=theirs,
                             env=environment, close_fds=True)
    os.close(theirs)
    data = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:                   # the terminal's other end is closed
            break
        if not piece:
            break
        data += piece
    os.close(ours)
    assert child.wait(timeout=60) == 0
    return data.decode("ascii").replace("\r\n", "\n")


@pytest.mark.smoke
def test_golden_text():
    done = explain("404.8")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == (GOLDEN / "explain_404.8.txt").read_text("ascii")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize("term, want", SAMPLES, ids=[row[0] for row in SAMPLES])
def test_json_of_each_kind(term, want):
    for words in (term.split(), [term]):  # in one argument as well as in several
        entries = explain_json(*words)
        assert len(entries) == 1
        entry = entries[0]
        assert set(SCHEMA) <= set(entry)
        for key, kind in SCHEMA.items():
            assert isinstance(entry[key], kind), key
        for key, value in want.items():
            assert entry[key] == value, key
        for key in ("versions", "causes", "remedies", "settings", "sources", "on_windows", "on_candor", "see_also"):
            assert all(isinstance(text, str) and text for text in entry[key])
        assert entry["logged_in"] in ("iis", "httperr", "none")
        assert entry["meaning"] and entry["remedies"] and entry["sources"]


def test_plain_status_lists_its_substatuses():
    entry = explain_json("404")[0]
    codes = [part["code"] for part in entry["substatuses"]]
    assert codes[:3] == ["404.1", "404.2", "404.3"] and "404.20" in codes and "404.504" in codes
    text = explain("404").stdout
    assert all(f"  {code} " in text for code in codes)
    assert "530.36" in [part["code"] for part in explain_json("ftp", "530")[0]["substatuses"]]


def test_several_terms():
    entries = explain_json("404.8", "QueueFull", "win32", "64", "ftp", "530")
    assert [e["term"] for e in entries] == ["404.8", "QueueFull", "win32 64", "ftp 530"]
    entries = explain_json("401 1 1326")
    assert [e["term"] for e in entries] == ["401.1", "win32 1326"]


def test_number_that_http_does_not_have():
    done = explain("64")
    assert done.returncode == 0
    assert done.stdout.startswith("HTTP has no status 64, so it was taken as win32 64.\n\nwin32 64  ERROR_NETNAME")


def test_numbers_as_logs_have_them():
    assert [e["term"] for e in explain_json("404 8")] == ["404.8"]
    assert explain("503", "2").stdout.startswith("Two numbers were taken as sc-status and sc-substatus.\n\n503.2  ")
    assert [e["term"] for e in explain_json("200 64")] == ["200", "win32 64"]      # there is no 200.64
    assert [e["term"] for e in explain_json("404 500")] == ["404", "500"]
    done = explain("80070021")
    assert done.stdout.startswith("No code has the decimal number 80070021, so it was taken as 0x80070021.\n\n0x80070021")
    assert [e["term"] for e in explain_json("c0000005")] == ["0xc0000005"]


@pytest.mark.parametrize("status", [409, 410, 415, 417, 421, 422, 426, 429, 451, 511])
def test_statuses_of_applications(status):
    """No module of IIS raises them: they are in logs all the same, and are no replies of FTP."""
    (entry,) = explain_json(str(status))
    assert (entry["kind"], entry["status"], entry["raised_by_candor"]) == (
        "http", status, "not raised by the server itself; an application's answer may carry it")


def test_class_of_statuses():
    lines = explain("5xx").stdout.splitlines()
    codes = [line.split()[0] for line in lines if line.startswith("  ")]
    assert codes[:4] == ["500", "501", "502", "503"] and all(code[0] == "5" and len(code) == 3 for code in codes)
    four = explain("4XX").stdout
    assert four.startswith("28 entries") and "more: add" not in four
    assert explain("9xx").returncode == 1


def test_number_that_is_nothing():
    """It is not searched for in texts: there it would be a limit or a part of another number."""
    for number in ("999", "600", "404.999", "0x"):
        done = explain(number)
        assert (done.returncode, done.stdout) == (1, ""), number
        assert done.stderr.startswith(f"candor: explain: nothing is known about {number}")


@pytest.mark.smoke
def test_nothing_asked():
    done = explain()
    assert done.returncode == 0 and done.stderr == ""
    counts = [int(n) for n in re.findall(r"^ +(\d+)  ", done.stdout, re.M)]
    assert len(counts) == 8 and all(n > 20 for n in counts)
    everything = json.loads(explain("--format", "json").stdout)
    assert len(everything) == sum(counts)
    assert {e["kind"] for e in everything} == {"http", "httperr", "ftp", "win32", "hresult", "parameter", "event",
                                               "field"}


def test_search():
    done = explain("section", "locked")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "2 entries, best first:"
    assert [line.split("  ")[1] for line in lines if line.startswith("  ")] == ["500.19", "win32 33"]
    assert explain("section locked").stdout == done.stdout
    assert {e["code"] for e in explain_json("section locked")} == {"33", "500.19"}
    many = explain("the").stdout.splitlines()
    assert many[-3].startswith("  and ") and len(many) < 40
    one = explain("psychedelic zeppelin")
    assert one.returncode == 1 and one.stdout == ""


def test_unknown_terms():
    done = explain("QueFull")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "candor: explain: nothing is known about QueFull; near it: QueueFull\n"
    done = explain("404.99")
    assert done.returncode == 1 and "near it: 404, " in done.stderr
    done = explain("404.8", "404.99")     # the one that exists is told all the same
    assert done.returncode == 1 and "Hidden namespace" in done.stdout and "404.99" in done.stderr
    done = explain("0x80070999")
    assert done.returncode == 1 and "Win32 error 2457" in done.stderr
    done = explain("QueFull", "--format", "json")
    assert done.returncode == 1 and json.loads(done.stdout) == []
    done = explain("\x1b[31mred\x07")     # nothing of it reaches the terminal
    assert done.returncode == 1 and "\x1b" not in done.stderr and "\x07" not in done.stderr


@pytest.mark.parametrize("words", [["--format"], ["--format", "html", "404"], ["--color", "404"], ["x" * 201],
                                   ["404"] * 65])
def test_wrong_usage(words):
    done = explain(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("candor: explain: ") and done.stderr.count("\n") == 1


def test_help():
    done = explain("--help")
    assert done.returncode == 0 and "ftp substatus 8" in done.stdout
    assert "explain" in subprocess.run([str(BINARY), "--help"], capture_output=True, text=True, check=True).stdout


def test_full_disk():
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(BINARY), "explain", "404"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
    assert done.returncode == 1 and "cannot be written" in done.stderr


def test_terminal():
    plain = explain("404.8").stdout
    coloured = on_terminal("404.8")
    assert ESCAPE.search(coloured) and ESCAPE.sub("", coloured) == plain
    assert on_terminal("404.8", env={"NO_COLOR": "1"}) == plain
    assert on_terminal("404.8", env={"TERM": "dumb"}) == plain
    assert "\x1b" not in plain
    wide = on_terminal("503", columns=200, env={"NO_COLOR": "1"})
    assert max(len(line) for line in wide.splitlines()) in range(120, 201)
    narrow = on_terminal("503", columns=60, env={"NO_COLOR": "1"})
    prose = [line for line in narrow.splitlines() if not line.startswith("    ")]
    assert max(len(line) for line in prose) <= 80 and sum(len(line) > 60 for line in prose) <= 3
    assert wide.split() == narrow.split() == explain("503").stdout.split()


# --- what it says about reproducing a code is true ---

REASONS = ["BadRequest", "Forbidden", "Header", "Hostname", "Invalid_CR/LF", "LengthRequired", "N/I",
           "Number", "RequestLength", "URL", "URL_Length", "Verb", "Version_N/S"]
STATUSES = ["200", "206", "301", "403.14", "404", "404.3", "404.7", "404.8", "404.9", "404.11", "405", "406", "412",
            "416", "501"]
FILES = {"inetpub/wwwroot/" + name: "0123456789abcdef" for name in
         ("index.htm", "file.htm", "file.txt", "file.yyy", ".hidden", "folder/x.txt", "bin/x")}
TOOLS = pytest.mark.skipif(not (shutil.which("nc") and shutil.which("curl")), reason="needs nc and curl")


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers.sites(Site(), files=FILES)


def reproduce(server, term):
    entry = explain_json(term)[0]
    address, port = server.address()
    command = entry["command"].replace("HOST 80", f"{address} {port}").replace("HOST", f"{address}:{port}")
    subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                   check=False)
    return entry


def provoke(server, reason, by=None):
    def lines():
        return [row for row in read_httperr(server.drive) if row["s-reason"] == reason]

    server.expect(reason)
    before = len(lines())
    reproduce(server, by or reason)
    found = wait_until(lambda: lines()[before:], f"a line with {reason}")
    assert len(found) == 1
    assert found[0]["sc-status"] == str(explain_json(reason)[0]["status"])


@TOOLS
@pytest.mark.parametrize("reason", REASONS)
def test_command_provokes_the_reason(server, reason):
    provoke(server, reason)


@TOOLS
def test_command_provokes_the_reason_after_the_change_it_names(servers):
    provoke(servers.sites(Site(), reg={"MaxRequestBytes": 65536}), "FieldLength")


PARAMETERS = ["AllowCaseInsensitiveVerbs", "AllowRestrictedChars", "AllowUnEscapedRestrictedChars",
              "AllowWeakHeaderNameSyntax", "AllowWeakHeaderValueSyntax", "MaxRequestBytes", "UrlSegmentMaxCount",
              "UrlSegmentMaxLength"]


@TOOLS
@pytest.mark.parametrize("name", PARAMETERS)
def test_command_meets_the_limit(server, name):
    """The reason that the parameter's entry promises."""
    reason = re.search(r"reason (\w+)", explain_json(name)[0]["meaning"])[1]
    provoke(server, reason, by=name)


@TOOLS
@pytest.mark.parametrize("code", STATUSES)
def test_command_provokes_the_status(server, code):
    before = len(server.w3c())
    reproduce(server, code)
    rows = wait_until(lambda: server.w3c()[before:], f"a line with {code}")
    assert [f"{row['sc-status']}.{row['sc-substatus']}" for row in rows] == [code if "." in code else code + ".0"]
