"""Site logs in all their forms, HTTPERR's files, and what happens when a log can't be written."""
import contextlib
import datetime
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import Site, read_w3c, wait_until
from harness.client import build
from harness.logs import read_httperr
from harness.stopwatch import Stopwatch

ALL_FLAGS = ("Date, Time, ClientIP, UserName, SiteName, ComputerName, ServerIP, Method, UriStem, UriQuery, HttpStatus, "
             "Win32Status, BytesSent, BytesRecv, TimeTaken, ServerPort, UserAgent, Cookie, Referer, ProtocolVersion, "
             "Host, HttpSubStatus")
ALL_FIELDS = ("date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
              "cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status "
              "sc-bytes cs-bytes time-taken")
DEFAULT_FIELDS = ("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
                  "cs(Referer) sc-status sc-substatus sc-win32-status time-taken")
FILES = {"inetpub/wwwroot/a.txt": "aaa", "inetpub/wwwroot/b c.txt": "b", "inetpub/wwwroot/é.txt": "e"}


@pytest.fixture(autouse=True)
def within_one_hour():
    """Names and times here are those of one hour: a test that would see the next one begin waits for it."""
    left = 3600 - time.time() % 3600
    if left < 60:
        time.sleep(left + 0.1)


def utc():
    return datetime.datetime.now(datetime.timezone.utc)


def log_folder(server, site=1):
    return server.drive / f"inetpub/logs/LogFiles/W3SVC{site}"


def log_site(attributes="", inner="", more=""):
    return Site(inner=f'<logFile {attributes}>{inner}</logFile>{more}')


def logged(server, pattern, count=1):
    """Waits until files that match hold at least count records; returns their text."""
    def find():
        texts = [p.read_bytes().decode("utf-8", "replace") for p in sorted(server.drive.glob(pattern))]
        lines = [x for t in texts for x in t.split("\r\n") if x and not x.startswith("#")]
        return "".join(texts) if len(lines) >= count else None
    return wait_until(find, lambda: f"{count} records in {pattern}: "
                      f"{[str(p) for p in server.drive.glob('inetpub/logs/**/*')]}")


def test_default_form(servers):
    server = servers.sites(Site(), files=FILES)
    before = utc().replace(microsecond=0)
    watch = Stopwatch(server)
    server.get("/a.txt?x=1&y=%20z", {"User-Agent": "Some Agent/1.0 (a; b)", "Referer": "http://r.test/q?a b"})
    rows = server.w3c(wait=lambda r: True)
    assert watch.seconds < 2.0, "a record must be on disk within a second of its answer"
    name = f"u_ex{before:%y%m%d}.log"
    text = (log_folder(server) / name).read_bytes().decode()
    lines = text.split("\r\n")
    assert lines[0] == "#Software: Microsoft Internet Information Services 10.0"
    assert lines[1] == "#Version: 1.0"
    assert re.fullmatch(r"#Date: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", lines[2])
    assert lines[3] == "#Fields: " + DEFAULT_FIELDS
    assert lines[-1] == "" and "\n" not in text.replace("\r\n", "")
    row = rows[-1]
    stamp = datetime.datetime.fromisoformat(f"{row['date']} {row['time']}+00:00")
    assert before <= stamp <= utc()
    address, port = server.address()
    assert {k: row[k] for k in row if k not in ("date", "time", "time-taken")} == {
        "s-ip": address, "cs-method": "GET", "cs-uri-stem": "/a.txt", "cs-uri-query": "x=1&y=%20z",
        "s-port": str(port), "cs-username": "-", "c-ip": "127.0.0.1",
        "cs(User-Agent)": "Some+Agent/1.0+(a;+b)", "cs(Referer)": "http://r.test/q?a+b",
        "sc-status": "200", "sc-substatus": "0", "sc-win32-status": "0"}
    assert row["time-taken"].isdigit()


def test_every_field(servers):
    server = servers.sites(log_site(f'logExtFileFlags="{ALL_FLAGS}"'), files=FILES)
    request = build("GET", "/b%20c.txt", {"Cookie": "a=1; b=2"}, host="www.example.test:81")
    with server.connect() as conn:
        conn.send(request)
        answer = conn.read()
    row = server.w3c_for("/b+c.txt")
    assert " ".join(row) == ALL_FIELDS
    assert row["s-sitename"] == "W3SVC1"
    assert row["s-computername"].lower() == socket.gethostname().lower()
    assert row["cs-version"] == "HTTP/1.1" and row["cs(Cookie)"] == "a=1;+b=2"
    assert row["cs-host"] == "www.example.test:81"
    assert int(row["cs-bytes"]) == len(request) and int(row["sc-bytes"]) == len(answer.raw)
    assert row["cs(User-Agent)"] == "-" and row["cs-uri-query"] == "-"


def test_few_fields(servers):
    server = servers.sites(log_site('logExtFileFlags="Method, UriStem, HttpStatus"'), files=FILES)
    server.get("/a.txt")
    text = logged(server, "inetpub/logs/LogFiles/W3SVC1/u_ex*.log")
    assert text.endswith("GET /a.txt 200\r\n") and "#Fields: cs-method cs-uri-stem sc-status\r\n" in text


def test_custom_fields(servers):
    custom = ('<customFields><add logFieldName="x-forwarded" sourceName="X-Forwarded-For" sourceType="RequestHeader" />'
              '<add logFieldName="x-type" sourceName="Content-Type" sourceType="ResponseHeader" />'
              '<add logFieldName="x-pool" sourceName="APP_POOL_ID" sourceType="ServerVariable" /></customFields>')
    server = servers.sites(log_site(inner=custom), files=FILES)
    server.get("/a.txt", {"X-Forwarded-For": "192.0.2.7, 10.0.0.1"})
    server.get("/a.txt?second")
    logged(server, "inetpub/logs/LogFiles/W3SVC1/u_ex*_x.log", 2)
    first, second = sorted(read_w3c(server.drive), key=lambda r: r["cs-uri-query"])
    assert " ".join(first) == DEFAULT_FIELDS + " x-forwarded x-type x-pool"
    assert (first["x-forwarded"], first["x-type"]) == ("192.0.2.7,+10.0.0.1", "text/plain")
    assert second["x-forwarded"] == "-" and first["x-pool"] in ("DefaultAppPool", "-")


@pytest.mark.parametrize("value,shown", [
    ("a\tb", "a+b"), ("x" * 5000, "..."), ("plus+stays", "plus+stays"), ('quote"and\\', 'quote"and\\'),
])
def test_escaping_of_values(servers, value, shown):
    server = servers.sites(Site(), files=FILES)
    server.get("/a.txt", {"User-Agent": value})
    assert server.w3c_for("/a.txt")["cs(User-Agent)"] == shown


def test_no_value_can_forge_a_record(servers):
    server = servers.sites(Site(), files=FILES)
    server.tolerate("URL", "Header")
    server.raw(b"GET /a.txt?\x80\xff\xc2\x85 HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x7f\xc2\xa0\xe2\x80\xa8b\r\n"
               b"Referer: #Fields: c-ip\r\nConnection: close\r\n\r\n")
    server.get("/a.txt?after")
    server.w3c(wait=lambda r: r["cs-uri-query"] == "after")
    for line in next(log_folder(server).glob("u_ex*.log")).read_bytes().split(b"\r\n"):
        assert not any(b < 0x20 or b == 0x7F for b in line), line
        assert line.startswith(b"#") or len(line.split(b" ")) in (1, len(DEFAULT_FIELDS.split()))


def test_utf8_names_and_ansi_names(servers):
    server = servers.sites(Site(), files=FILES, log='<!-- default -->')
    server.get("/%C3%A9.txt")
    assert server.w3c_for("/é.txt")["sc-status"] == "200"


def test_not_utf8(servers):
    server = servers.sites(Site(), files=FILES, start=False)
    text = server.config_path.read_text().replace("<log >", '<log logInUTF8="false">')
    assert 'logInUTF8="false"' in text
    server.config_path.write_text(text)
    server.start()
    server.get("/%C3%A9.txt")
    server.get("/%E2%82%AC%D0%96.txt")
    logged(server, "inetpub/logs/LogFiles/W3SVC1/ex*.log", 2)
    data = next(log_folder(server).glob("ex*.log")).read_bytes()
    assert b" /\xe9.txt " in data and b"?.txt" in data
    assert not list(log_folder(server).glob("u_*"))


@pytest.mark.parametrize("period,pattern", [
    ("Hourly", r"u_ex\d{8}\.log"), ("Daily", r"u_ex\d{6}\.log"), ("Weekly", r"u_ex\d{4}0[1-6]\.log"),
    ("Monthly", r"u_ex\d{4}\.log"), ("MaxSize", r"u_extend1\.log"),
])
def test_names_by_period(servers, period, pattern):
    server = servers.sites(log_site(f'period="{period}"'), files=FILES)
    before = utc()
    server.get("/a.txt")
    logged(server, "inetpub/logs/LogFiles/W3SVC1/*.log")
    name = os.listdir(log_folder(server))[0]
    assert re.fullmatch(pattern, name)
    expected = {"Hourly": "%y%m%d%H", "Daily": "%y%m%d", "Monthly": "%y%m"}.get(period)
    if expected:
        assert name in (f"u_ex{before.strftime(expected)}.log", f"u_ex{utc().strftime(expected)}.log")


def test_local_time_in_names(servers):
    """localTimeRollover changes the file's name, never the times inside."""
    server = servers.sites(log_site('period="Hourly" localTimeRollover="true"'), files=FILES,
                           environment={"TZ": "Etc/GMT-9"})
    server.get("/a.txt")
    row = server.w3c_for("/a.txt")
    local = utc() + datetime.timedelta(hours=9)
    earlier = local - datetime.timedelta(minutes=1)
    assert os.listdir(log_folder(server))[0] in (f"u_ex{local:%y%m%d%H}.log", f"u_ex{earlier:%y%m%d%H}.log")
    stamp = datetime.datetime.fromisoformat(f"{row['date']} {row['time']}+00:00")
    assert abs((stamp - utc()).total_seconds()) < 30


def test_roll_over_by_size(servers):
    """A new file before the record that would pass 1 MB; no record lost or cut."""
    server = servers.sites(log_site('period="MaxSize" truncateSize="1048576"'), files=FILES)
    count = 700
    with server.connect() as conn:
        for start in range(0, count, 10):
            conn.send(b"".join(build("GET", f"/a.txt?{i:04}{'q' * 1900}") for i in range(start, start + 10)))
            for _ in range(10):
                assert conn.read().status == 200
    wait_until(lambda: len(read_all_sizes(server)) == count, lambda: str(len(read_all_sizes(server))))
    names = sorted(os.listdir(log_folder(server)))
    assert names == ["u_extend1.log", "u_extend2.log"]
    assert all((log_folder(server) / n).stat().st_size <= 1048576 for n in names)
    assert (log_folder(server) / names[0]).stat().st_size > 1040000
    assert sorted(read_all_sizes(server)) == list(range(count))


def read_all_sizes(server):
    found = []
    for path in log_folder(server).glob("u_extend*.log"):
        found += [int(m) for m in re.findall(r" /a\.txt (\d{4})q+ ", path.read_text())]
    return found


def test_iis_format(servers):
    server = servers.sites(log_site('logFormat="IIS"'), files=FILES)
    server.get("/a.txt?q=1")
    server.get("/none.txt")
    text = logged(server, "inetpub/logs/LogFiles/W3SVC1/u_in*.log", 2)
    pattern = (r"127\.0\.0\.1, -, \d{1,2}/\d{1,2}/\d{4}, \d{1,2}:\d\d:\d\d, W3SVC1, \S+, 127\.0\.0\.1, \d+, \d+, \d+, "
               r"%s, %s, GET, %s, %s,")
    lines = sorted(text.split("\r\n")[:2], key=lambda line: "none" in line)    # threads write in any order
    assert re.fullmatch(pattern % (200, 0, "/a.txt", "q=1"), lines[0])
    assert re.fullmatch(pattern % (404, 2, "/none.txt", "-"), lines[1])


def test_ncsa_format(servers):
    server = servers.sites(log_site('logFormat="NCSA"'), files=FILES, environment={"TZ": "Etc/GMT+8"})
    answer = server.get("/a.txt?q=1")
    text = logged(server, "inetpub/logs/LogFiles/W3SVC1/u_nc*.log")
    pattern = (r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d -0800\] '
               r'"GET /a\.txt\?q=1 HTTP/1\.1" 200 %d\r\n' % len(answer.raw))
    assert re.fullmatch(pattern, text)


def test_quotes_in_ncsa(servers):
    """A quote in the URL may not end the quoted request."""
    server = servers.sites(log_site('logFormat="NCSA"'), files=FILES)
    server.get('/a.txt?"+200+1', {})
    line = logged(server, "inetpub/logs/LogFiles/W3SVC1/u_nc*.log").split("\r\n")[0]
    assert re.search(r' HTTP/1\.1" 200 \d+$', line)


def test_central_w3c(servers):
    server = servers.sites(Site(), Site(name="b", id=7, folder="b"), files={**FILES, "b/a.txt": "b"},
                           log='centralLogFileMode="CentralW3C"')
    server.get("/a.txt")
    server.get("/a.txt", site="b")
    logged(server, "inetpub/logs/LogFiles/W3SVC/u_ex*.log", 2)
    rows = read_w3c(server.drive, "")
    assert sorted(r["s-sitename"] for r in rows) == ["W3SVC1", "W3SVC7"]
    assert not log_folder(server, 1).exists() and not log_folder(server, 7).exists()


@pytest.mark.parametrize("setting,kept", [
    ('dontLog="true"', []), ('selectiveLogging="LogError"', ["/none.txt"]),
    ('selectiveLogging="LogSuccessful"', ["/a.txt", "/last.txt"]),
])
def test_http_logging_section(servers, setting, kept):
    server = servers.sites(Site(), files={**FILES, "inetpub/wwwroot/last.txt": "l"},
                           locations='<location path="Default Web Site"><system.webServer>'
                                     f"<httpLogging {setting} /></system.webServer></location>")
    for target in ("/a.txt", "/none.txt", "/last.txt"):
        server.get(target)
    assert server.stop() == []            # all that will be written is written now
    assert sorted(r["cs-uri-stem"] for r in read_w3c(server.drive)) == kept


def test_logging_switched_off(servers):
    server = servers.sites(log_site('enabled="false"'), files=FILES)
    server.get("/a.txt")
    assert server.stop() == []
    assert not log_folder(server).exists()


def test_other_folder(servers):
    server = servers.sites(log_site('directory="%SystemDrive%\\my logs"'), files=FILES)
    server.get("/a.txt")
    logged(server, "my logs/W3SVC1/u_ex*.log")


# --- nothing is lost ---

def test_nothing_lost_on_graceful_stop(servers):
    server = servers.sites(Site(), files=FILES)
    with server.connect() as conn:
        conn.send(b"".join(build("GET", f"/a.txt?{i}") for i in range(500)))
        for _ in range(500):
            assert conn.read().status == 200
    assert server.stop() == []
    assert [r["cs-uri-query"] for r in read_w3c(server.drive)] == [str(i) for i in range(500)]


def test_nothing_lost_on_reload(servers):
    """The field list changes between requests: each record stands below its own #Fields line."""
    server = servers.sites(Site(), files=FILES)
    text = server.config_path.read_text()
    changed = text.replace("<siteDefaults>\n        <logFile ",
                           '<siteDefaults>\n        <logFile logExtFileFlags="UriStem, UriQuery, HttpStatus, '
                           'HttpSubStatus" ')
    assert changed != text
    for turn in range(6):
        for i in range(50):
            server.get(f"/a.txt?{turn}-{i}")
        server.config_path.write_text(changed if turn % 2 == 0 else text)
        server.process.send_signal(signal.SIGHUP)
    assert server.stop() == []
    seen = [r["cs-uri-query"] for r in read_w3c(server.drive)]
    assert sorted(seen) == sorted(f"{t}-{i}" for t in range(6) for i in range(50))


def test_reopen_on_signal(servers):
    server = servers.sites(Site(), files=FILES)
    server.get("/a.txt?one")
    server.w3c(wait=lambda r: r["cs-uri-query"] == "one")
    path = next(log_folder(server).glob("u_ex*.log"))
    moved = path.with_name("moved-away")
    path.rename(moved)
    server.get("/a.txt?two")
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: path.exists() or not server.get("/a.txt?more"), "the log is opened again")
    server.get("/a.txt?three")
    server.w3c(wait=lambda r: r["cs-uri-query"] == "three")
    assert server.stop() == []
    both = moved.read_text() + path.read_text()
    assert all(both.count(f" {q} ") == 1 for q in ("one", "two", "three"))


def test_new_block_after_a_restart(servers):
    first = servers.sites(Site(), files=FILES)
    first.get("/a.txt?one")
    assert first.stop() == []
    path = next(log_folder(first).glob("u_ex*.log"))
    first.spawn()
    first.wait_line("^candor: ready$")
    first.get("/a.txt?two")
    first.w3c(wait=lambda r: r["cs-uri-query"] == "two")
    assert path.read_text().count("#Fields:") == 2


# --- folders and disks that can't take a log ---

def serves_without_log(server):
    for _ in range(30):
        assert server.get("/a.txt").body == b"aaa"


def test_log_folder_is_a_file(servers):
    server = servers.sites(Site(), files={**FILES, "inetpub/logs/LogFiles": "in the way"})
    server.tolerate_events("LogFiles")
    serves_without_log(server)
    event = server.wait_event("LogFiles")
    assert "W3SVC1" in str(event)


def test_no_permission_for_the_log_folder(servers):
    """Neither root's helper users nor an ordinary user may write where all rights are taken away."""
    user = 65534 if os.geteuid() == 0 else None
    server = servers.sites(Site(), files={**FILES, "inetpub/logs/LogFiles/": None}, as_user=user, start=False)
    folder = server.drive / "inetpub/logs/LogFiles"
    folder.chmod(0o500)
    server.tolerate_events("LogFiles")
    server.start()
    serves_without_log(server)
    server.wait_event("LogFiles")
    folder.chmod(0o700)


def mount_small_disk(folder):
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=777", "candor-test", str(folder)],
                          capture_output=True)
    return done.returncode == 0


@pytest.mark.root
@pytest.mark.parametrize("what", ["site log", "HTTPERR"])
def test_full_disk(servers, what):
    """Serving goes on, an event tells, and logging goes on when there is room again."""
    server = servers.sites(Site(), files=FILES, start=False)
    folder = server.drive / ("inetpub/logs/LogFiles" if what == "site log" else "Windows/System32/LogFiles")
    if not mount_small_disk(folder):
        pytest.skip("mount is not allowed here")
    try:
        filler = folder / "filler"
        with contextlib.suppress(OSError):
            filler.write_bytes(b"x" * 1_000_000)
        server.tolerate("Verb")
        server.tolerate_events("LogFiles")
        server.start()
        for i in range(60):
            if what == "site log":
                assert server.get(f"/a.txt?{i}{'q' * 1500}").status == 200
            else:
                assert server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400")
        server.wait_event("LogFiles|HTTPERR")
        assert server.get("/a.txt").status == 200
        filler.unlink()

        def logs_again():
            if what == "site log":
                server.get("/a.txt?again")
                return b"again" in b"".join(p.read_bytes() for p in folder.rglob("*.log"))
            before = sum(p.stat().st_size for p in folder.rglob("*.log"))
            server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")
            return wait_until(lambda: sum(p.stat().st_size for p in folder.rglob("*.log")) > before, "growth", 3)
        wait_until(logs_again, "logging goes on once there is room", 15, pause=0.2)
        assert server.stop() == []
    finally:
        subprocess.run(["umount", "-l", str(folder)])


# --- HTTPERR files ---

def provoke(server, count=1):
    server.expect("Verb", count)
    for _ in range(count):
        server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize("value,pattern", [
    (0, r"httperr1\.log"), (1, r"ht\d{6}\.log"), (2, r"ht\d{4}0[1-6]\.log"), (3, r"ht\d{4}\.log"), (4, r"ht\d{8}\.log"),
])
def test_httperr_names_by_period(servers, value, pattern):
    server = servers.sites(Site(), files=FILES, reg={"ErrorLogRolloverType": value, "ErrorLoggingRolloverType": value})
    provoke(server)
    folder = server.drive / "Windows/System32/LogFiles/HTTPERR"
    wait_until(lambda: read_httperr(server.drive), "a line")
    assert [re.fullmatch(pattern, n) is not None for n in os.listdir(folder)] == [True]


def test_httperr_fields_can_be_chosen(servers):
    server = servers.sites(Site(host="www.example.test"), files=FILES, reg={"ErrorLoggingFields": 0x7DFF4E7})
    server.expect("Hostname")
    with server.connect() as conn:
        conn.send(b"GET /x HTTP/1.1\r\nHost: other.test\r\nUser-Agent: an agent\r\nCookie: c\r\nReferer: r\r\n\r\n")
        conn.read_to_end()
        row = server.httperr_for(conn.port)
    assert (row["cs(User-Agent)"], row["cs(Cookie)"], row["cs-host"], row["s-reason"]) == \
        ("an+agent", "c", "other.test", "Hostname")


FORMS = [
    (0, "2.0", "cs-uri streamid sc-status s-siteid s-reason s-queuename"),
    (1, "1.0", "cs-uri sc-status s-siteid s-reason s-queuename"),
    (2, "2.0", "cs-uri sc-status s-siteid s-reason s-queuename"),
    (3, "2.0", "cs-uri streamid streamid_ex sc-status s-siteid s-reason s-queuename transport fault-code "
               "extended-fault-code"),
]


@pytest.mark.parametrize("value,api,columns", FORMS)
def test_httperr_columns_of_each_windows(servers, value, api, columns):
    server = servers.sites(Site(), files=FILES, reg={"ErrorLoggingColumns": value})
    provoke(server)
    wait_until(lambda: read_httperr(server.drive), "a line")
    lines = (server.drive / "Windows/System32/LogFiles/HTTPERR/httperr1.log").read_text().splitlines()
    assert lines[0] == f"#Software: Microsoft HTTP API {api}"
    assert lines[3] == f"#Fields: date time c-ip c-port s-ip s-port cs-version cs-method {columns}"
    row = dict(zip(lines[3].split()[1:], lines[4].split(), strict=True))
    assert (row["sc-status"], row["s-reason"]) == ("400", "Verb")
    assert row.get("transport", "TCP") == "TCP"


def test_httperr_folder_that_cannot_be_had(servers):
    """Somebody's file is where the folder should be: an event, and requests are served."""
    server = servers.sites(Site(), files=FILES, start=False, reg={"ErrorLoggingDir": "C:\\taken\\logs"})
    (server.drive / "taken").write_text("a file")
    server.tolerate_events("1010", "1012")      # at the stop its lines are lost
    server.start()
    server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.get("/a.txt").status == 200
    server.wait_event(r"\b1010\b")


def test_httperr_folder_that_is_no_path(servers):
    """The documented default takes its place."""
    server = servers.sites(Site(), files=FILES, start=False, reg={"ErrorLoggingDir": "logs"})
    server.tolerate_events("1007")
    server.start()
    provoke(server)
    wait_until(lambda: read_httperr(server.drive), "a line")
    server.wait_event(r"ErrorLoggingDir is not a full local path")


def test_httperr_switched_off(servers):
    server = servers.sites(Site(), files=FILES, reg={"EnableErrorLogging": 0})
    for _ in range(3):
        server.raw(b"get / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.stop() == []
    assert read_httperr(server.drive) == []


def test_httperr_appends_after_a_restart(servers):
    server = servers.sites(Site(), files=FILES)
    provoke(server)
    assert server.stop() == []
    server.spawn()
    server.wait_line("^candor: ready$")
    provoke(server)
    wait_until(lambda: len(read_httperr(server.drive)) == 2, "two lines")
    path = server.drive / "Windows/System32/LogFiles/HTTPERR/httperr1.log"
    assert path.read_text().count("#Fields:") == 2


def test_httperr_rolls_over_by_size(servers):
    server = servers.sites(Site(), files=FILES, reg={"ErrorLogFileTruncateSize": 0x100000})
    folder = server.drive / "Windows/System32/LogFiles/HTTPERR"
    target = b"/" + b"/".join([b"a" * 200] * 18)
    count = 330
    for _ in range(count):
        server.raw(b"GET " + target + b" HTTP/1.1\r\nHost: a/b\r\n\r\n")
    server.expect("Hostname", count)
    wait_until(lambda: len(read_httperr(server.drive)) == count, lambda: str(len(read_httperr(server.drive))))
    assert sorted(os.listdir(folder)) == ["httperr1.log", "httperr2.log"]
    assert (folder / "httperr1.log").stat().st_size <= 0x100000
