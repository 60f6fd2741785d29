"""candor diagnose on logs made here: every format, packing and encoding, and what must not break it."""
import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import zipfile

import pytest

from harness import server as server_module

FIELDS = ("#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
          "cs(Referer) sc-status sc-substatus sc-win32-status time-taken")
HEADER = "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2026-03-14 08:00:00\r\n"
HTTPERR = ("#Software: Microsoft HTTP API 2.0\r\n#Version: 1.0\r\n#Date: 2026-03-14 08:00:00\r\n#Fields: date time c-ip "
           "c-port s-ip s-port cs-version cs-method cs-uri streamid sc-status s-siteid s-reason s-queuename\r\n")


def line(second=1, url="/a", client="192.0.2.7", status="200 0 0", ms=15):
    clock = f"{8 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"2026-03-14 {clock} 10.0.0.4 GET {url} - 443 - {client} UA+1.0 - {status} {ms}\r\n"


def w3c(*lines):
    return HEADER + FIELDS + "\r\n" + "".join(lines)


def run(*arguments, stdin=None, code=0):
    """Standard output; the exit status must be as asked for, and no sanitizer may speak."""
    done = subprocess.run([server_module.BINARY, "diagnose", *map(str, arguments)], input=stdin,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr.decode(errors="replace")
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr
    return done.stdout.decode()


def diagnose(*arguments, **more):
    return json.loads(run(*arguments, "--format", "json", **more))


@pytest.fixture
def log(tmp_path):
    def write(content, name="u_ex260314.log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


SAMPLE = w3c(line(1), line(2, "/orders/4711", status="404 8 0"), line(3, "/orders/17", status="404 8 0", ms=9),
             line(4, "/b", "2001:db8::1", "500 19 2147942433", 1500))


@pytest.mark.smoke
def test_totals_and_keys(log):
    d = diagnose(log(SAMPLE))
    t = d["totals"]
    assert (t["requests"], t["status_2xx"], t["status_4xx"], t["status_5xx"], t["clients"]) == (4, 1, 2, 1, 2)
    row = next(r for r in d["by_status"] if r["code"] == "404.8")
    assert (row["count"], row["win32"], row["first"], row["last"]) == (
        2, 0, "2026-03-14T08:00:02Z", "2026-03-14T08:00:03Z")
    assert row["urls"] == [{"url": "/orders/{n}", "count": 2}]
    assert next(r for r in d["by_status"] if r["code"] == "500.19")["win32"] == 2147942433
    assert d["latency"]["max_ms"] == 1500
    i = d["inputs"][0]
    assert (i["kind"], i["records"], i["lines"], i["not_understood"]) == ("w3c", 4, 8, 0)
    assert i["fields"][:3] == ["date", "time", "s-ip"] and i["last"] == "2026-03-14T08:00:04Z"


def packed(tmp_path, how):
    data = SAMPLE.encode()
    path = tmp_path / "anything.bin"
    if how == "gzip":
        path.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
    elif how == "zstd":
        if not shutil.which("zstd"):
            pytest.skip("no zstd program")
        path.write_bytes(subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout)
    elif how in ("zip", "stored"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if how == "zip" else zipfile.ZIP_STORED) as z:
            z.writestr("logs/W3SVC7/u_ex.log", data)
    else:
        path.write_bytes(b"\xef\xbb\xbf" + data if how == "bom" else SAMPLE.encode(how))
    return path


@pytest.mark.parametrize("how", ["gzip", "zstd", "zip", "stored", "bom", "utf-16", "utf-16-be", "utf-16-le"])
def test_packings_and_encodings(tmp_path, how):
    d = diagnose(packed(tmp_path, how))
    assert d["totals"]["requests"] == 4 and d["inputs"][0]["not_understood"] == 0
    if how in ("zip", "stored"):
        assert d["inputs"][0]["path"].endswith("anything.bin!/logs/W3SVC7/u_ex.log")
        assert d["sites"][0]["site"] == "W3SVC7"


@pytest.mark.parametrize("kind, content, records", [
    ("httperr", HTTPERR + "2026-03-14 08:00:01 192.0.2.9 51000 10.0.0.4 80 HTTP/1.1 GET /x - 503 1 QueueFull Shop\r\n", 1),
    ("ftp", "#Fields: date time c-ip cs-username s-ip s-port cs-method cs-uri-stem sc-status sc-win32-status "
            "sc-substatus x-session x-fullpath\n2026-03-14 08:00:01 192.0.2.1 - 10.0.0.4 21 USER j 530 1326 41 a -\n", 1),
    ("iis", "192.0.2.7, -, 3/14/2026, 8:00:01, W3SVC1, WEB1, 10.0.0.4, 15, 300, 500, 404, 2, GET, /a, -,\r\n" * 2, 2),
    ("ncsa", '192.0.2.7 - CORP\\ada [14/Mar/2026:08:00:01 +0100] "GET /a HTTP/1.1" 404 -\n', 1),
    ("freb", '<?xml version="1.0"?><failedRequest url="http://h/a" siteId="1" appPoolId="P" verb="GET" '
             'failureReason="STATUS_CODE" statusCode="404.8" timeTaken="3"></failedRequest>', 1),
    ("har", '{"log":{"entries":[{"startedDateTime":"2026-03-14T08:00:01Z","time":3,"request":{"method":"GET",'
            '"url":"https://h/a?b"},"response":{"status":503}}]}}', 1),
    ("ancm", "[aspnetcorev2.dll] Known dotnet.exe location: 'C:\\a\nC:\\b'\n[aspnetcorev2.dll] Failed\n", 2),
    ("w3c", line() + line(), 2),
    ("w3c", "<Events><Event><System><Provider Name='Microsoft-Windows-IIS-Logging'/></System><EventData>"
            "<Data Name='date'>2026-03-14</Data><Data Name='time'>08:00:01</Data><Data Name='sc-status'>404</Data>"
            "</EventData></Event></Events>", 1),
])
def test_recognised_by_content(log, kind, content, records):
    i = diagnose(log(content, "nothing-in-the-name"))["inputs"][0]
    assert (i["kind"], i["records"], i["not_understood"]) == (kind, records, 0)


def test_what_does_not_fit_is_told(log):
    d = diagnose(log(w3c(line(), "garbage here\r\n", line(2), "2026-03-14 08:00:0")))
    i = d["inputs"][0]
    assert (i["records"], i["not_understood"]) == (2, 2)
    assert i["not_understood_samples"] == [{"line": 6, "text": "garbage here"}, {"line": 8, "text": "2026-03-14 08:00:0"}]
    assert "line 6: garbage here" in run(log(w3c(line(), "garbage here\r\n")))


def test_folder_and_unknown_files(tmp_path, log):
    log(SAMPLE, "logs/W3SVC1/u_ex1.log")
    log(SAMPLE, "logs/W3SVC2/deep/er/u_ex1.log.1")
    log("just some text\n", "logs/readme.txt")
    os.symlink(tmp_path / "logs", tmp_path / "logs" / "loop")
    d = diagnose(tmp_path / "logs")
    assert d["totals"]["requests"] == 8
    kinds = {os.path.basename(i["path"]): i for i in d["inputs"]}
    assert kinds["readme.txt"]["kind"] == "unknown" and kinds["readme.txt"]["problem"]
    assert {s["site"]: s["requests"] for s in d["sites"]} == {"W3SVC1": 4, "W3SVC2": 4}


def test_file_with_two_names_is_read_once(log, tmp_path):
    """By links in a folder, and named twice: its requests count once."""
    path = log(SAMPLE, "logs/u_ex1.log")
    other = log(SAMPLE, "elsewhere/u_ex2.log")
    os.symlink("u_ex1.log", path.parent / "a_current.log")
    os.symlink(path.parent, path.parent / "loop")
    os.symlink("nowhere", path.parent / "dangling.log")
    os.symlink(other, path.parent / "b_linked.log")
    d = diagnose(path.parent)
    assert d["totals"]["requests"] == 8
    assert sorted(os.path.basename(i["path"]) for i in d["inputs"] if i["records"]) == ["b_linked.log", "u_ex1.log"]
    os.link(path, path.parent / "z_hard.log")
    d = diagnose(path.parent, path, path.parent / "a_current.log")
    assert d["totals"]["requests"] == 8
    again = [i for i in d["inputs"] if "z_hard.log" in i["path"]]
    assert [i["records"] for i in again] == [0] and "read once" in again[0]["problem"]


def test_folder_of_trouble():
    """What could not be read is told on standard error too, with a remedy; what is no log is not."""
    with tempfile.TemporaryDirectory(prefix="candor-trouble-") as top:
        pathlib.Path(top).chmod(0o755)     # pytest's own folders are closed to others, and so may be the build's
        binary, folder = pathlib.Path(top) / "candor", pathlib.Path(top) / "logs"
        shutil.copy(server_module.BINARY, binary)
        folder.mkdir()
        (folder / "good.log").write_text(SAMPLE)
        (folder / "readme.txt").write_text("just some text\n")
        (folder / "cut.gz").write_bytes(gzip.compress(SAMPLE.encode() * 100)[:-50])
        (folder / "locked.log").write_text(SAMPLE)
        (folder / "locked.log").chmod(0)
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run([*other, binary, "diagnose", folder], capture_output=True, text=True,
                              timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any(l.endswith("locked.log: cannot be opened: Permission denied") for l in lines)
    assert any("cut.gz: the compressed data is cut off" in l for l in lines) and len(lines) == 2
    assert "as a user who may" in " ".join(done.stdout.split()) and "readme.txt" in done.stdout


@pytest.mark.parametrize("name, content, says", [
    ("a.bz2", b"BZh91AY&SY" + bytes(90), "bzip2"), ("a.xz", b"\xfd7zXZ\0" + bytes(90), "xz"),
    ("a.7z", b"7z\xbc\xaf'\x1c" + bytes(90), "7-Zip"), ("a.rar", b"Rar!\x1a\x07\x01\0" + bytes(90), "RAR"),
    ("a.cab", b"MSCF\0\0\0\0" + bytes(90), "cabinet"),
    ("a.gz", gzip.compress(gzip.compress(SAMPLE.encode())), "gzip")])
def test_other_packings_are_named(log, name, content, says):
    i = diagnose(log(content, name), code=1)["inputs"][0]
    assert i["records"] == 0 and says in i["problem"] and "unpack" in i["problem"]


def test_archive_in_an_archive(tmp_path, log):
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as z:
        z.writestr("a.log", SAMPLE)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as z:
        z.writestr("b.log", SAMPLE)
        z.writestr("b.log.gz", gzip.compress(SAMPLE.encode()))
        z.write(inner, "inner.zip")                 # stored as it is: its text must not be taken for lines
    inputs = diagnose(tmp_path / "outer.zip")["inputs"]
    got = {i["path"].rpartition("/")[2]: i for i in inputs}
    assert got["b.log"]["records"] == 4
    assert got["inner.zip"]["records"] == 0 and "zip" in got["inner.zip"]["problem"]
    assert got["b.log.gz"]["records"] == 0 and "gzip" in got["b.log.gz"]["problem"]


def test_text_of_another_encoding_in_the_middle(log):
    """PowerShell's >> appends UTF-16 to a file of bytes: that is told, not counted as requests."""
    content = SAMPLE.encode() + w3c(line(7), line(8, "/orders/1", status="404 8 0")).encode("utf-16le") + b"\r\n"
    d = diagnose(log(content + line(9).encode()))
    i = d["inputs"][0]
    assert (i["records"], d["totals"]["requests"], d["totals"]["status_2xx"]) == (5, 5, 2)
    assert i["not_understood"] >= 2
    assert all(s["code"][0] in "245" for s in d["by_status"])


@pytest.mark.parametrize("option, value, count", [
    ("--status", "404.8", 2), ("--status", "404", 2), ("--status", "5xx", 1), ("--status", "404.7", 0),
    ("--url", "/ORDERS", 2), ("--client", "2001:db8::1", 1), ("--since", "2026-03-14T08:00:03Z", 2),
    ("--until", "2026-03-14 08:00:03", 3), ("--until", "2026-03-13", 0), ("--site", "W3SVC9", 0)])
def test_filters(log, option, value, count):
    d = diagnose(log(SAMPLE), option, value)
    assert d["totals"]["requests"] == count and d["filtered"] is True
    assert d["inputs"][0]["records"] == 4


def test_drill_down_lists_the_requests(log):
    path = log(SAMPLE)
    d = diagnose(path, "--status", "404.8")
    assert [(r["line"], r["text"].split()[4]) for r in d["requests"]] == [(6, "/orders/4711"), (7, "/orders/17")]
    assert f"{path}:6: " in run(path, "--status", "404.8")
    assert len(diagnose(path, "--status", "404", "--top", "1")["requests"]) == 1


@pytest.mark.smoke
def test_large_file_in_stretches(log):
    """More than one stretch for more than one thread; the layout changes in the middle of one."""
    lines = [line(i % 3000, f"/p{i % 7}", f"192.0.2.{i % 100}", "404 0 2" if i % 50 == 0 else "200 0 0", i % 100)
             for i in range(60000)]
    short = "#Fields: date time cs-uri-stem sc-status\r\n" + "2026-03-14 09:00:00 /late 503\r\n" * 50000
    path = log(w3c(*lines) + "broken\r\n" + short)
    assert path.stat().st_size > 5_000_000
    one, two = (diagnose(path, "--threads", n) for n in ("1", "3"))
    assert one["totals"] == two["totals"] and one["by_status"] == two["by_status"] and one["inputs"] == two["inputs"]
    assert one["timeline"] == two["timeline"] and one["urls"] == two["urls"]
    assert one["latency"] == two["latency"] and one["findings"] == two["findings"]
    t = one["totals"]
    assert (t["requests"], t["status_4xx"], t["status_5xx"], t["clients"]) == (110000, 1200, 50000, 100)
    assert one["inputs"][0]["not_understood_samples"] == [{"line": 60005, "text": "broken"}]
    late = diagnose(path, "--status", "503", "--top", "2")["requests"]
    assert [r["line"] for r in late] == [60007, 60008]


def without_estimates(value):
    if isinstance(value, dict):
        return {k: without_estimates(v) for k, v in value.items() if k + "_error" not in value and k[-6:] != "_error"}
    if isinstance(value, list):
        return [without_estimates(v) for v in value]
    return re.sub(r"About \d+ clients", "Clients", value) if isinstance(value, str) else value


def test_same_report_every_time(log):
    """The key of the tables is another in each run, the work is shared out otherwise: only estimates may differ."""
    lines = [line(i // 40, f"/p{'abcdefghijkl'[i % 12]}", f"198.18.{i % 7}.{i % 40}", "200 0 0" if i % 3 else "404 0 2",
                  i % 50)
             for i in range(60_000)]
    path = log(w3c(*lines))
    assert path.stat().st_size > 4 << 20  # read in stretches
    reports = [diagnose(path, "--threads", n) for n in (1, 1, 2, 3, 2)]
    assert any("clients_error" in s for s in reports[0]["by_status"])
    assert any("About " in f["why"] for f in reports[0]["findings"])
    assert all(without_estimates(r) == without_estimates(reports[0]) for r in reports)


def test_same_result_when_files_are_joined(log):
    parts = [log(w3c(line(i, f"/x{i}", status="500 0 0")), f"{i}.log") for i in range(3)]
    joined = log(b"".join(p.read_bytes() for p in parts), "all.log")
    a, b = diagnose(*parts), diagnose(joined)
    assert a["totals"] == b["totals"] and a["by_status"] == b["by_status"] and a["timeline"] == b["timeline"]


def test_pipe(log):
    assert diagnose("-", stdin=SAMPLE.encode())["totals"]["requests"] == 4
    assert diagnose("-", stdin=gzip.compress(SAMPLE.encode()))["totals"]["requests"] == 4


def test_line_of_megabytes(log):
    d = diagnose(log(w3c(line(), "x" * 9_000_000 + "\r\n", line(2, status="404 0 2"))))
    i = d["inputs"][0]
    assert (i["records"], i["not_understood"], i["lines"]) == (2, 1, 7)
    assert d["totals"]["status_4xx"] == 1


def test_nul_padding(log):
    content = SAMPLE.encode() + b"\0" * 5000 + SAMPLE.encode()
    i = diagnose(log(content))["inputs"][0]
    assert (i["records"], i["not_understood"], i["nul_bytes"]) == (8, 0, 5000)
    i = diagnose(log(b"\0" * 200_000 + SAMPLE.encode()))["inputs"][0]
    assert (i["records"], i["not_understood"], i["nul_bytes"]) == (4, 0, 200_000)


def test_damaged_packings(tmp_path, log):
    whole = gzip.compress(w3c(*(line(i, f"/{i}x") for i in range(3000))).encode())
    i = diagnose(log(whole[:len(whole) // 2], "cut.gz"))["inputs"][0]
    assert 0 < i["records"] < 3000 and "cut off" in i["problem"]
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as z:
        with z.open("a.log", "w", force_zip64=True) as member:
            member.write(w3c(line()).encode())
            for _ in range(300):
                member.write(b" " * 1_000_000)
    i = diagnose(tmp_path / "bomb.zip")["inputs"][0]
    assert i["records"] == 1 and "more than 250-fold" in i["problem"]
    with zipfile.ZipFile(tmp_path / "torn.zip", "w") as z:
        z.writestr("a.log", SAMPLE)
    data = (tmp_path / "torn.zip").read_bytes()
    run(log(data[:-30], "torn2.zip"), "--format", "json", code=1)


def test_many_statuses(log):
    lines = (f"2026-03-14 08:00:01 10.0.0.4 GET /a - 443 - 192.0.2.7 UA - {100 + i % 900} {i // 900} 0 15\r\n"
             for i in range(10000))
    assert len(diagnose(log(w3c(*lines)))["by_status"]) == 10000


def test_hostile_bytes_do_not_reach_the_terminal(log):
    text = run(log(w3c(line(url="/\x1b[31m\u202e\u009b", status="404 0 2")).encode() + line(url="/caf\udce9").encode(
        "utf-8", "surrogateescape")))
    assert "\x1b" not in text and "\u202e" not in text and "\u009b" not in text


def test_output_file_and_exit_codes(tmp_path, log):
    path, out = log(SAMPLE), tmp_path / "report.json"
    assert run(path, "--format", "json", "--output", out) == ""
    assert json.loads(out.read_text())["totals"]["requests"] == 4
    run(code=2)
    run(path, "--format", "yaml", code=2)
    run(path, "--status", "many", code=2)
    run(path, "--since", "yesterday", code=2)
    run(path, "--since", "2026-03-15", "--until", "2026-03-14", code=2)
    run(path, "--until", "2026-02-30", code=2)
    for option in ("--site", "--url", "--client"):
        run(path, option, code=2)
        run(path, f"{option}=", code=2)
    run(tmp_path / "absent", code=1)
    run(path, "--output", tmp_path / "no" / "folder", code=1)
    assert "Usage: candor diagnose" in run("--help")


def test_report_does_not_overwrite_a_log(log, tmp_path):
    path = log(SAMPLE, "logs/u_ex1.log")
    os.symlink(path, tmp_path / "report.json")
    for given, out in ((path, path), (path.parent, path), (path, tmp_path / "report.json")):
        run(given, "--format", "json", "--output", out, code=1)
        assert path.read_text() == SAMPLE.replace("\r\n", "\n")


def test_fifo_is_waited_for(log, tmp_path):
    """A writer that comes later, as when another program unpacks the log."""
    path, fifo = log(SAMPLE), tmp_path / "fifo.log"
    os.mkfifo(fifo)
    with subprocess.Popen([server_module.BINARY, "diagnose", str(fifo), "--format", "json"],
                          stdout=subprocess.PIPE) as reader:
        fifo.write_bytes(path.read_bytes())       # opening waits for the reader
        assert json.loads(reader.communicate(timeout=60)[0])["totals"]["requests"] == 4


def test_queue_full_is_found_and_connected(log):
    """The pool became slow, then its queue was full: one finding says both."""
    site = [line(i, "/slow", ms=20) for i in range(600)] + [line(600 + i, "/slow", ms=4000) for i in range(120)]
    err = [f"2026-03-14 08:{10 + i // 60:02}:{i % 60:02} 192.0.2.{i} 51000 10.0.0.4 443 HTTP/1.1 GET /slow - 503 1 "
           "QueueFull Shop\r\n" for i in range(100)]
    d = diagnose(log(w3c(*site)), log(HTTPERR + "".join(err), "httperr1.log"))
    f = next(f for f in d["findings"] if f["id"] == "queue-full")
    assert f["severity"] == "critical" and f["count"] == 100 and "Shop" in f["title"]
    assert f["evidence"][0]["line"] == 5 and f["evidence"][0]["file"].endswith("httperr1.log")
    assert d["by_reason"][0]["queues"] == ["Shop"]


def suggested(*arguments, **more):
    """The commands that findings end with; each must run as it stands."""
    commands = {f["id"]: f["command"] for f in diagnose(*arguments, **more)["findings"]}
    return {name: c for name, c in commands.items() if c.startswith("candor diagnose")}


@pytest.mark.parametrize("name", ["plain.log", "two words.log", "it's $(touch x) `here`.log", "-first.log", "ü;rm.log"])
def test_suggested_commands_can_be_pasted(tmp_path, log, name):
    log(w3c(*(line(i, "/a", status="500 19 33") for i in range(9))), name)
    found = json.loads(subprocess.run([server_module.BINARY, "diagnose", "--format", "json", "--", name], cwd=tmp_path,
                                      capture_output=True, check=True, timeout=60).stdout)["findings"]
    command = next(f["command"] for f in found if f["id"] == "config-error-33")
    assert command.endswith("--status 500.19")
    shell = command.replace("candor", str(server_module.BINARY), 1)
    again = subprocess.run(["/bin/sh", "-c", f"{shell} --format json"], cwd=tmp_path, capture_output=True, check=True,
                           timeout=60)
    assert len(json.loads(again.stdout)["requests"]) == 9
    assert sorted(os.listdir(tmp_path)) == [name]


def test_suggested_commands_keep_what_was_asked(log):
    paths = [log(w3c(*(line(i, "/a", status="500 19 33") for i in range(9))), f"logs/{n}.log") for n in range(30)]
    few = suggested(*paths[:3], "--since", "2026-03-14T08:00:02Z", "--site", "W3SVC")
    assert not few
    few = suggested(*paths[:3], "--since", "2026-03-14T08:00:02Z")["config-error-33"]
    files = " ".join(map(str, paths[:3]))
    assert few == f"candor diagnose {files} --since '2026-03-14 08:00:02' --status 500.19"
    many = suggested(*paths)["config-error-33"]
    assert many == f"candor diagnose {paths[0].parent} --status 500.19"
    assert suggested("-", stdin=paths[0].read_bytes())["config-error-33"] == "candor diagnose - --status 500.19"


def test_what_became_slower(log):
    """One URL of three, in files that are read by several threads; the keys of the JSON and the text."""
    lines = [line(i * 30 + k, url, ms=ms) for i in range(400) for k, (url, ms) in enumerate((
        ("/reports/daily", 90 if i < 200 else 4000), ("/export", 9000), ("/", 20)))]
    half = len(lines) // 2
    paths = [log(w3c(*lines[:half]), "1.log"), log(w3c(*lines[half:]), "2.log")]
    d = diagnose(*paths)
    assert d["latency"]["urls_compared"] == 3
    (slower,) = d["latency"]["slower"]
    assert slower["url"] == "/reports/daily" and slower["since_seconds"] <= 1024
    assert "2026-03-14T09:23:00Z" <= slower["since"] <= "2026-03-14T09:57:00Z"
    before, after = slower["before"], slower["after"]
    assert before["count"] + after["count"] == 400
    assert abs(before["p50_ms"] - 90) <= before["p50_ms_error"] and abs(after["p50_ms"] - 4000) <= after["p50_ms_error"]
    assert {f["id"] for f in d["findings"]} >= {"slower-urls", "slow-requests"}
    assert "URLs that became slower" in run(*paths)
    assert "URLs that became slower" in run(*paths, "--format", "html")
    only = diagnose(*paths, "--url", "/export")
    assert only["latency"]["slower"] == [] and {f["id"] for f in only["findings"]} == {"slow-requests"}
    assert "Nothing changed" in only["findings"][0]["why"]


def test_address_that_became_a_link(log):
    d = diagnose(log(w3c(line(), line(2, client="[192.0.2.7](http://192.0.2.7)"), line(3, client="[2001:db8::1]"))))
    assert {c["client"]: c["count"] for c in d["clients"]} == {"192.0.2.7": 2, "[2001:db8::1]": 1}


@pytest.mark.parametrize("content", [b"ElfFile\0" + bytes(500), b'<Events><Event><System/></Event></Events>'])
def test_event_logs_are_refused_with_a_remedy(log, content):
    path = log(content, "System.evtx")
    done = subprocess.run([server_module.BINARY, "diagnose", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{path}: an event log, which has no requests" in done.stderr and "candor explain event" in done.stderr
    beside = diagnose(log(SAMPLE), path)
    unread = next(f for f in beside["findings"] if f["id"] == "input-unread")
    assert unread["severity"] == "info" and "System.evtx: an event log" in unread["why"]


def test_files_that_are_no_logs_are_one_finding(log, tmp_path):
    for i in range(50):
        log("just some text\n", f"logs/readme{i}.txt")
    log(SAMPLE, "logs/u_ex.log")
    unread = [f for f in diagnose(tmp_path / "logs")["findings"] if f["id"].startswith("input")]
    assert [(f["id"], f["count"]) for f in unread] == [("input-unread", 50)]
    assert "And 45 more" in unread[0]["why"]


@pytest.mark.parametrize("width", [80, 200])
def test_terminal_width(log, tmp_path, width):
    """In a terminal of that width no line is cut in two, whatever the path; without one there is no colour."""
    if not shutil.which("tmux"):
        pytest.skip("no tmux")
    path = log(w3c(*(line(i, "/a/rather/long/url/that/goes/on/and/on/" + "x" * 60, f"2001:db8:0:1:2:3:4:{i}", "500 0 0",
                         3000) for i in range(60)), "torn"), "a-folder-with-a-name/" * 5 + "u.log")
    shell = f"cd {path.parent}; stty size > size; TERM=xterm-256color {server_module.BINARY} diagnose u.log; echo; sleep 30"
    tmux = ["tmux", "-L", f"candor-{os.getpid()}", "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "-x", str(width), "-y", "120", "sh", "-c", shell], check=True, timeout=20)
    try:
        for _ in range(100):
            # -J joins what the terminal had to wrap; -e keeps colours.
            shown = subprocess.run([*tmux, "capture-pane", "-p", "-J", "-t", "0"], capture_output=True, text=True, check=True,
                                   timeout=20).stdout.rstrip()
            if "Inputs" in shown and "torn" in shown.split("Inputs")[1]:
                break
            time.sleep(0.1)
        assert (path.parent / "size").read_text().split()[1] == str(width)
        coloured = subprocess.run([*tmux, "capture-pane", "-p", "-e", "-t", "0"], capture_output=True, text=True, check=True,
                                  timeout=20).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, timeout=20)
    assert "Findings" in shown
    # A command to be copied and a single word may be longer than the line.
    long = [x for x in shown.splitlines() if len(x) > width and "candor diagnose" not in x]
    assert [x for x in long if len(x.split()) > 1] == []
    assert "\x1b[" in coloured and "\x1b" not in run(path)


def test_site_log_as_exported_events(log):
    """A site that logs to event tracing; its events were exported together with others."""
    def event(source, **data):
        values = "".join(f'<Data Name="{k.replace("_", "-")}">{v}</Data>' for k, v in data.items())
        return (f'<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="{source}"/>'
                f'<EventID>6200</EventID></System><EventData>{values}<Data Name="CustomFields" /></EventData></Event>')

    ours = "Microsoft-Windows-IIS-Logging"
    first = event(ours, date="2026-03-14", time="08:00:01", c_ip="192.0.2.7", cs_username="-", s_sitename="W3SVC3",
                  cs_method="GET", cs_uri_stem="/a&amp;b", sc_status=404, sc_win32_status=2, sc_bytes=134, cs_bytes=751,
                  time_taken=49, sc_substatus=8)
    path = log("<Events>" + first + event("WAS", x=1) + event(ours, sc_status="-") + "</Events>", "export.xml")
    d = diagnose(path)
    i, t = d["inputs"][0], d["totals"]
    assert (i["kind"], i["records"], i["not_understood"]) == ("w3c", 1, 2)
    assert (t["requests"], t["bytes_sent"], t["bytes_received"], t["first"]) == (1, 134, 751, "2026-03-14T08:00:01Z")
    row = d["by_status"][0]
    assert (row["code"], row["win32"], row["urls"]) == ("404.8", 2, [{"url": "/a&b", "count": 1}])
    assert d["sites"][0]["site"] == "W3SVC3" and d["latency"]["max_ms"] == 49 and d["clients"][0]["client"] == "192.0.2.7"
    cut = diagnose(log("<Events>" + first + first[:200], "cut.xml"))["inputs"][0]
    assert cut["records"] == 1 and "cut off" in cut["problem"]
