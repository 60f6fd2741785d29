"""candor trace: text, JSON, the page, and the list of a folder, from traces made here."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
from html.parser import HTMLParser
from xml.sax.saxutils import escape, quoteattr

import pytest

from harness.server import BINARY, SANITIZER

CHROMIUM = "/usr/bin/chromium"
ACTIVITY = "{80000012-0000-FD00-B63F-84710C7967BB}"
AREAS = {"General": (0, "D42CF7EF-DE92-473E-8B6C-621EA663113A"),
         "Authentication": (0x2, "C33BBE8F-985B-4080-81E6-005F1A06B9E2"),
         "Cache": (0x80, "AC1D69F1-BF33-4CA0-9313-BCA13873E1DC"),
         "RequestNotifications": (0x100, "002E91E3-E7AE-44AB-8E07-99230FFA6ADE"),
         "FastCGI": (0x1000, "E3642ACC-3627-42B0-8372-867BAA033B07")}
NOTIFICATIONS = {"BEGIN_REQUEST": 1, "AUTHENTICATE_REQUEST": 2, "MAP_REQUEST_HANDLER": 16,
                 "EXECUTE_REQUEST_HANDLER": 128, "LOG_REQUEST": 1024, "SEND_RESPONSE": 0x20000000}


class Trace:
    """Makes a trace as IIS writes them."""

    def __init__(self, url="http://www.example.test:80/secret/tool.cgi?x=1", verb="GET", status="404.2",
                 trigger=None, reason="STATUS_CODE", taken=15):
        self.root = {"url": url, "siteId": "1", "appPoolId": "DefaultAppPool", "processId": "4711", "verb": verb,
                     "remoteUserName": "", "userName": "", "tokenUserName": "NT AUTHORITY\\IUSR",
                     "authenticationType": "anonymous", "activityId": ACTIVITY, "failureReason": reason,
                     "statusCode": status, "triggerStatusCode": status if trigger is None else trigger,
                     "timeTaken": str(taken), "xmlns:freb": "http://schemas.microsoft.com/win/2006/06/iis/freb"}
        self.ms = 0
        self.day = "2026-01-05T09:30"
        self.events = []

    def event(self, name, level=4, area="General", opcode=1, words=None, provider="WWW Server", **data):
        flag, guid = AREAS[area]
        lines = ['<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">', " <System>",
                 f'  <Provider Name="{provider}" Guid="{{3A2A4E84-4C21-4981-AE10-3FDA0D9B0F83}}"/>',
                 "  <EventID>0</EventID>", "  <Version>1</Version>", f"  <Level>{level}</Level>",
                 f"  <Opcode>{opcode}</Opcode>", f"  <Keywords>{flag:#x}</Keywords>",
                 f'  <TimeCreated SystemTime="{self.day}:{self.ms // 1000:02}.{self.ms % 1000:03}Z"/>',
                 f'  <Correlation ActivityID="{ACTIVITY}"/>', '  <Execution ProcessID="4711" ThreadID="4720"/>',
                 "  <Computer>WEB01</Computer>", " </System>", " <EventData>",
                 f'  <Data Name="ContextId">{ACTIVITY}</Data>']
        lines += [f'  <Data Name="{key}">{escape(str(value))}</Data>' for key, value in data.items()]
        lines += [" </EventData>", ' <RenderingInfo Culture="en-US">', f"  <Opcode>{name}</Opcode>"]
        if flag:
            lines += ["  <Keywords>", f"   <Keyword>{area}</Keyword>", "  </Keywords>"]
        lines += [f'  <freb:Description Data="{key}">{escape(value)}</freb:Description>'
                  for key, value in (words or {}).items()]
        lines += [" </RenderingInfo>",
                  ' <ExtendedTracingInfo xmlns="http://schemas.microsoft.com/win/2004/08/events/trace">',
                  f"  <EventGuid>{{{guid}}}</EventGuid>", " </ExtendedTracingInfo>", "</Event>"]
        self.events.append("\r\n".join(lines))
        return self

    def call(self, module, notification, inside=lambda: None, takes=0):
        words = {"Notification": notification}
        number = NOTIFICATIONS[notification]
        self.event("NOTIFY_MODULE_START", 5, "RequestNotifications", 1, words, ModuleName=module,
                   Notification=number, fIsPostNotification="false")
        inside()
        self.ms += takes
        return self.event("NOTIFY_MODULE_END", 5, "RequestNotifications", 2,
                          {**words, "NotificationStatus": "NOTIFICATION_CONTINUE"}, ModuleName=module,
                          Notification=number, fIsPostNotificationEvent="false", NotificationStatus=0)

    def fails(self, module, notification, status, substatus, code, text, reason="Not Found", config=""):
        return self.event("MODULE_SET_RESPONSE_ERROR_STATUS", 3, "RequestNotifications", 16,
                          {"Notification": notification, "ErrorCode": f"{text}\r\n ({code:#x})"},
                          ModuleName=module, Notification=NOTIFICATIONS[notification], HttpStatus=status,
                          HttpReason=reason, HttpSubStatus=substatus, ErrorCode=code, ConfigExceptionInfo=config)

    def text(self, cut=None):
        attributes = ("\r\n" + " " * 15).join(f"{k}={quoteattr(v)}" for k, v in self.root.items())
        whole = ('<?xml version="1.0" encoding="UTF-8" ?>\r\n'
                 "<?xml-stylesheet type='text/xsl' href='freb.xsl'?>\r\n"
                 f"<!-- saved from url=(0014)about:internet -->\r\n<failedRequest {attributes}\r\n{' ' * 15}>\r\n"
                 + "\r\n".join(self.events) + "\r\n</failedRequest>")
        return whole if cut is None else whole[:cut]


def cgi_refused():
    t = Trace()
    t.event("GENERAL_REQUEST_START", 0, opcode=1, SiteId=1, AppPoolId="DefaultAppPool", ConnId=1, RawConnId=0,
            RequestURL=t.root["url"], RequestVerb="GET")
    t.event("GENERAL_REQUEST_HEADERS", 4, opcode=50, Headers=(
        "Host: www.example.test\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
        "Authorization: Basic dXNlcjpvcGVuc2VzYW1l\r\nX-Api-Key: abcdefghij\r\nUser-Agent: <script>alert(1)</script>\r\n"))
    t.call("RequestFilteringModule", "BEGIN_REQUEST")
    t.call("CgiModule", "EXECUTE_REQUEST_HANDLER", takes=15, inside=lambda: t.fails(
        "CgiModule", "EXECUTE_REQUEST_HANDLER", 404, 2, 2147943660, "This program is blocked by policy."))
    t.event("GENERAL_RESPONSE_HEADERS", 4, opcode=47,
            Headers="Content-Type: text/html\r\nSet-Cookie: id=verysecretvalue; path=/; HttpOnly\r\n")
    t.event("GENERAL_REQUEST_END", 0, opcode=2, BytesSent=1245, BytesReceived=300, HttpStatus=404, HttpSubStatus=2)
    return t


def slow_one():
    t = Trace(url="http://www.example.test:80/report.php", status="200", trigger="0", reason="TIME_TAKEN", taken=5016)
    t.event("GENERAL_REQUEST_START", 0, opcode=1, SiteId=1)

    def inside():
        t.event("FASTCGI_ASSIGN_PROCESS", 0, "FastCGI", 17, CommandLine="C:\\PHP\\php-cgi.exe", ProcessId=88)
        t.ms += 5000
        t.event("FASTCGI_RESPONSE_WRITTEN", 4, "FastCGI", 11)
    t.call("FastCgiModule", "EXECUTE_REQUEST_HANDLER", inside, takes=16)
    return t


def config_error():
    t = Trace(url="http://www.example.test:80/", status="500.19", taken=0)
    t.event("GENERAL_REQUEST_START", 0, opcode=1, SiteId=1)
    t.fails("IIS Web Core", "BEGIN_REQUEST", 500, 19, 0x80070021, "The process cannot access the file.",
            reason="Internal Server Error",
            config="\r\n\\\\?\\C:\\inetpub\\wwwroot\\web.config ( 12) :This configuration section cannot be used.\r\n")
    return t


def run(*arguments, input=None, environment=None, check=True):
    done = subprocess.run([str(BINARY), "trace", *map(str, arguments)], input=input, capture_output=True, timeout=60,
                          env=dict(os.environ, **(environment or {})))
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    assert not SANITIZER.search(done.err), done.err
    if check:
        assert done.returncode == 0, done.err
    return done


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "W3SVC1").mkdir()
    for n, trace in enumerate((cgi_refused(), slow_one(), config_error()), 1):
        trace.day = f"2026-01-05T09:{30 - n}"
        fresh = (cgi_refused, slow_one, config_error)[n - 1]()
        fresh_text = fresh.text().replace("2026-01-05T09:30", trace.day)
        (tmp_path / "W3SVC1" / f"fr{n:06}.xml").write_bytes(fresh_text.encode())
    (tmp_path / "W3SVC1" / "freb.xsl").write_text("<xsl:stylesheet/>")
    return tmp_path


@pytest.fixture
def one(tmp_path):
    path = tmp_path / "fr000001.xml"
    path.write_bytes(cgi_refused().text().encode())
    return path


# ---- text ----

@pytest.mark.smoke
def test_text_says_what_failed_where_and_why(one):
    out = run(one).out
    assert "404.2 after 15 ms" in out
    assert "CgiModule in EXECUTE_REQUEST_HANDLER (event 6 of 9, at 0 ms)" in out
    assert "0x800704ec" in out and "This program is blocked by policy." in out
    assert "candor explain 404.2" in out
    path = out[out.index("\nPath\n"):]
    assert path.index("BEGIN_REQUEST") < path.index("RequestFilteringModule") < path.index("CgiModule")
    assert re.search(r"CgiModule  took 15 ms.*<- slowest", path)
    assert re.search(r"MODULE_SET_RESPONSE_ERROR_STATUS .*<- failed here", path)
    assert "A module set an error status" in out             # what the warning means


def test_secrets_are_hidden_unless_asked_for(one):
    secrets = ("0123456789abcdef", "dXNlcjpvcGVuc2VzYW1l", "abcdefghij", "verysecretvalue")
    for form in ("text", "json", "html"):
        hidden = run(one, "--format", form, "--full").out
        assert not [s for s in secrets if s in hidden], form
        assert "session=[hidden, 16 bytes]" in hidden and "theme=" in hidden
        shown = run(one, "--format", form, "--full", "--show-secrets").out
        assert not [s for s in secrets if s not in shown], form
    text = run(one).out
    assert "Authorization: Basic [hidden, 20 bytes]" in text
    assert "Set-Cookie: id=[hidden, 15 bytes]; path=/; HttpOnly" in text


def test_slow_request_is_blamed_on_the_gap(tmp_path):
    path = tmp_path / "slow.xml"
    path.write_bytes(slow_one().text().encode())
    out = " ".join(run(path).out.split())
    assert "5000 ms between #3 FASTCGI_ASSIGN_PROCESS and #4 FASTCGI_RESPONSE_WRITTEN, in FastCgiModule" in out
    assert "... 5000 ms pass (the longest wait)" in out
    found = json.loads(run(path, "--format", "json").out)[0]
    assert found["failed_by"]["module"] == "FastCgiModule" and found["failed_by"]["hresult"] is None
    assert found["failed_by"]["notification"] == "EXECUTE_REQUEST_HANDLER"
    assert found["reason"] == "TIME_TAKEN" and found["trigger_status"] is None


def test_configuration_error_shows_its_place(tmp_path):
    path = tmp_path / "config.xml"
    path.write_bytes(config_error().text().encode())
    out = run(path).out
    assert re.search(r"config +\\\\\?\\C:\\inetpub\\wwwroot\\web.config \( 12\) :This configuration section", out)
    assert "0x80070021 ERROR_LOCK_VIOLATION" in out


def test_no_colour_when_piped_and_on_a_terminal_unless_no_color(one):
    assert "\x1b[" not in run(one).out
    script = shutil.which("script")
    assert script, "util-linux's script is needed"
    command = f"stty cols 80; {BINARY} trace {one}"
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        done = subprocess.run([script, "-qec", command, "/dev/null"], capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, TERM="xterm", **environment))
        assert (b"\x1b[1m" in done.stdout) is coloured
        path = done.stdout.decode().split("Request headers")[0].split("Path")[-1]
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in path.splitlines()]
        assert max(map(len, lines)) <= 80, max(lines, key=len)


def test_control_characters_reach_no_terminal(tmp_path):
    t = cgi_refused()
    t.root["url"] = "http://h:80/\u202eevil\u009b31m"
    path = tmp_path / "x.xml"
    path.write_bytes(t.text().encode())
    out = run(path).out
    assert "\u202e" not in out and "\u009b" not in out and "\\xE2" in out


# ---- JSON ----

EVENT_KEYS = {"time", "name", "area", "level", "data"}
KEYS = {"file", "url", "verb", "status", "trigger_status", "reason", "time_taken_ms", "site_id", "app_pool",
        "process_id", "started", "failed_by", "events"}


def test_json_has_the_promised_keys(folder):
    traces = json.loads(run(folder, "--format", "json").out)
    assert [t["status"] for t in traces] == ["500.19", "200", "404.2"]           # by time
    for t in traces:
        assert KEYS <= set(t)
        assert {"module", "notification", "hresult", "text"} <= set(t["failed_by"])
        assert all(EVENT_KEYS <= set(e) and isinstance(e["data"], dict) for e in t["events"])
        assert type(t["time_taken_ms"]) is int and t["site_id"] == 1 and t["process_id"] == 4711
        assert re.fullmatch(r"2026-01-05T09:\d\d:00\.000Z", t["started"])
    cgi = traces[2]
    assert cgi["url"] == "http://www.example.test:80/secret/tool.cgi?x=1" and cgi["verb"] == "GET"
    assert cgi["failed_by"]["module"] == "CgiModule" and cgi["failed_by"]["hresult"] == "0x800704ec"
    assert cgi["failed_by"]["text"] == "This program is blocked by policy."
    failing = cgi["events"][cgi["failed_by"]["event"]]
    assert failing["name"] == "MODULE_SET_RESPONSE_ERROR_STATUS" and failing["level"] == 3
    assert failing["area"] == "RequestNotifications" and failing["data"]["HttpSubStatus"] == "2"
    call = next(e for e in cgi["events"] if e["data"].get("ModuleName") == "CgiModule")
    assert call["took_ms"] == 15 and call["depth"] == 0 and failing["depth"] == 1


# ---- lists ----

def test_folder_is_a_list_sorted_as_asked(folder):
    def files(*more):
        return re.findall(r"fr(\d{6})\.xml", run(folder, *more).out)
    assert files() == ["000003", "000002", "000001"]
    assert files("--sort", "taken") == ["000002", "000001", "000003"]
    assert files("--sort=status") == ["000003", "000001", "000002"]
    assert files("--sort", "url") == ["000003", "000002", "000001"]
    assert files("--sort", "file", "--top", "2") == ["000001", "000002"]
    line = next(x for x in run(folder).out.splitlines() if "fr000001" in x)
    for part in ("2026-01-05T09:29:00.000Z", "404.2", " 15 ", "CgiModule", "STATUS_CODE", "/secret/tool.cgi"):
        assert part in line
    assert "1 other file in the folder left out" in run(folder).out


def test_standard_input_and_output_file(one, tmp_path):
    out = tmp_path / "out.json"
    assert run("-", "--format", "json", "--output", out, input=one.read_bytes()).out == ""
    assert json.loads(out.read_text())[0]["file"] == "(standard input)"
    both = json.loads(run("-", one, "--format", "json", input=slow_one().text().encode()).out)
    assert {t["status"] for t in both} == {"404.2", "200"}


# ---- damage ----

def test_cut_files_show_what_is_there(tmp_path):
    whole = cgi_refused().text()
    at = whole.index("MODULE_SET_RESPONSE_ERROR_STATUS") + 60
    random.seed(1)
    for cut in [at] + random.sample(range(whole.index("<failedRequest") + 5, len(whole) - 20), 25):
        path = tmp_path / "cut.xml"
        path.write_bytes(whole[:cut].encode())
        done = run(path)
        assert "This trace is not complete: the file ends early" in done.out, cut
        assert json.loads(run(path, "--format", "json").out)[0]["complete"] is False
    path.write_bytes(whole[:at].encode())
    assert "CgiModule in EXECUTE_REQUEST_HANDLER" in run(path).out


def test_other_encodings_and_no_namespaces(tmp_path):
    plain = re.sub(r' xmlns(:freb)?="[^"]*"', "", cgi_refused().text())
    for name, data in (("utf16.xml", cgi_refused().text().replace("UTF-8", "UTF-16").encode("utf-16")),
                       ("bom.xml", b"\xef\xbb\xbf" + cgi_refused().text().encode()), ("plain.xml", plain.encode())):
        path = tmp_path / name
        path.write_bytes(data)
        found = json.loads(run(path, "--format", "json").out)[0]
        assert found["failed_by"]["module"] == "CgiModule", name
        assert found["failed_by"]["text"] == "This program is blocked by policy.", name
        assert len(found["events"]) == 9


@pytest.mark.parametrize("encoding, declared", [
    ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-16", "UTF-8"), ("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252"),
    ("cp1252", "UTF-8"), ("cp1251", "windows-1251"), ("iso-8859-15", "ISO-8859-15"), ("shift_jis", "Shift_JIS"),
    ("utf-8", "no-such-thing")])
def test_text_survives_its_encoding(tmp_path, encoding, declared):
    word = {"cp1251": "Ошибка", "shift_jis": "エラー"}.get(encoding, "Übergröße")
    text = cgi_refused().text().replace("This program", word).replace('"UTF-8"', f'"{declared}"')
    assert declared in text
    path = tmp_path / "fr000001.xml"
    path.write_bytes(text.encode(encoding))
    found = json.loads(run(path, "--format", "json").out)[0]
    assert found["failed_by"]["text"] == f"{word} is blocked by policy." and found["complete"]
    assert len(found["events"]) == 9
    counted = json.loads(subprocess.run([BINARY, "diagnose", "--format", "json", path], capture_output=True, check=True,
                                        timeout=60).stdout)
    assert (counted["totals"]["traces"], counted["inputs"][0]["kind"]) == (1, "freb")


def test_bytes_of_no_encoding(tmp_path):
    """One stray byte in a file that is UTF-8 otherwise."""
    data = cgi_refused().text().replace("This program", "Größe XX").encode().replace(b"XX", b"\xff\xc3")
    path = tmp_path / "fr000001.xml"
    path.write_bytes(data)
    assert json.loads(run(path, "--format", "json").out)[0]["failed_by"]["text"] == "Größe ?? is blocked by policy."


def test_a_document_type_is_refused(tmp_path):
    path = tmp_path / "bomb.xml"
    path.write_text('<!DOCTYPE f [<!ENTITY a "x"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
                    '<failedRequest url="&b;"></failedRequest>')
    done = run(path, check=False)
    assert done.returncode == 1 and "not a failed request trace" in done.err


def test_exit_codes(one, tmp_path):
    other = tmp_path / "other.xml"
    other.write_text("<configuration/>")
    (tmp_path / "empty").mkdir()
    assert run(other, check=False).returncode == 1
    assert run(tmp_path / "missing", check=False).returncode == 1
    assert run(tmp_path / "empty", check=False).returncode == 1
    assert run(one, other).returncode == 0                      # something could be read
    for wrong in ([], ["--format", "xml", one], ["--sort", "size", one], ["--top", "0", one], ["--nothing", one]):
        done = run(*wrong, check=False)
        assert done.returncode == 2 and done.err.count("\n") == 1 and "candor trace --help" in done.err
    assert "Usage: candor trace" in run("--help").out
    assert run(one, "--output", tmp_path / "no" / "where", check=False).returncode == 1
    before = one.read_bytes()
    done = run(one, "--format", "html", "--output", one, check=False)
    assert done.returncode == 1 and one.read_bytes() == before
    assert done.err == f"candor: trace: {one}: one of the traces: not overwritten\n"


def spent():
    """Processor time of the programs that were run: what passes on a clock is the machine's affair as well."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_ten_megabytes_in_a_second(tmp_path):
    t = cgi_refused()
    tail = t.events[-1]
    block = t.events[2:4]
    size = sum(map(len, block))
    t.events[-1:] = block * (10_500_000 // size) + [tail]
    path = tmp_path / "large.xml"
    path.write_bytes(t.text().encode())
    assert path.stat().st_size > 10_000_000
    best = {}
    for form in ("text", "json", "html"):
        for _ in range(3):
            start = spent()
            run(path, "--format", form, "--output", tmp_path / "out")
            best[form] = min(best.get(form, 99), spent() - start)
    limit = 1.0 if b"__asan_init" not in BINARY.read_bytes() else 15.0
    assert max(best.values()) < limit, best


# ---- the page ----

class Page(HTMLParser):
    VOID = {"meta", "link", "input", "br", "line", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.outside, self.rows = [], [], set(), [], 0
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if "id" in attrs:
            assert attrs["id"] not in self.ids, attrs["id"]
            self.ids.add(attrs["id"])
        self.outside += [v for k, v in attrs.items() if k in ("src", "href") and not v.startswith(("#", "data:,"))]
        self.outside += [k for k in attrs if k.startswith("on")]
        self.rows += tag == "tr" and attrs.get("id", "").startswith("t0e")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (self.open[-5:], tag)
        self.open.pop()


def test_page_is_one_file_that_needs_nothing(one, folder):
    text = run(one, "--format", "html").out
    page = Page(text)
    assert page.outside == [] and page.tags.count("script") == 1
    assert page.rows == 9 and {"t0", "t0e1", "t0e9"} <= page.ids
    assert "<script>alert(1)" not in text and "&lt;script&gt;alert(1)" in text
    for part in ("prefers-color-scheme: dark", "@media print", "Content-Security-Policy", "default-src 'none'",
                 'data-panel="summary"', 'data-panel="details"', 'data-panel="time"', 'data-panel="events"',
                 'class="time"', 'type="search"'):
        assert part in text, part
    several = Page(run(folder, "--format", "html").out)
    assert several.outside == [] and {"t0", "t1", "t2", "files"} <= several.ids


def browse(path, *flags):
    """The page in a browser: what it wrote to its console, and what it printed."""
    profile = path.parent / "profile"
    done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                           "--disable-background-networking", "--disable-component-update", "--disable-sync",
                           f"--user-data-dir={profile}", "--enable-logging=stderr", *flags, path.as_uri()],
                          capture_output=True, timeout=120)
    shutil.rmtree(profile, ignore_errors=True)
    errors = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return errors, done.stdout.decode(errors="replace")


STEPS = """<script>
(function () {
  function click(tab) { document.querySelector("[data-tab=" + tab + "]").click(); }
  function shown() { return document.querySelectorAll("[data-panel=events] tbody tr:not(.hidden)").length; }
  var result = [document.querySelector(".panel.on").dataset.panel];
  click("details"); result.push(document.querySelector(".panel.on").dataset.panel);
  click("events"); result.push(shown());
  var find = document.querySelector("article input[type=search]");
  find.value = "CgiModule"; find.dispatchEvent(new Event("input")); result.push(shown());
  find.value = ""; find.dispatchEvent(new Event("input")); result.push(shown());
  var box = document.querySelector("article input[type=checkbox]");
  box.click(); result.push(shown()); box.click();
  var th = document.querySelectorAll("[data-panel=events] th")[0];
  th.click(); th.click(); result.push(document.querySelector("[data-panel=events] tbody tr").id);
  document.body.setAttribute("data-result", JSON.stringify(result));
})();
</script></body>"""


def test_page_works_in_a_browser(one, tmp_path):
    text = run(one, "--format", "html").out
    if not pathlib.Path(CHROMIUM).exists():
        # Without a browser: everything that the script takes hold of is there.
        page = Page(text)
        assert text.count("data-tab=") >= 5 and page.tags.count("svg") == 1 and page.tags.count("article") == 1
        assert text.count("data-sort=") > 5 and 'class="soft count"' in text
        return
    path = tmp_path / "page.html"
    path.write_text(text.replace("</body>", STEPS))
    errors, dom = browse(path, "--dump-dom")
    assert errors == []
    result = json.loads(re.search(r'data-result="([^"]*)"', dom)[1].replace("&quot;", '"'))
    assert result == ["summary", "details", 9, 3, 9, 1, "t0e9"]
    errors, _ = browse(path, "--print-to-pdf-no-header", f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert errors == [] and (tmp_path / "page.pdf").read_bytes()[:5] == b"%PDF-"
