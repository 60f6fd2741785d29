"""What candor diagnose finds: the examples of its pages, read from the pages; and the HTML report, as
text and in a browser."""
import base64
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile
import time
from html.parser import HTMLParser

import pytest

from harness.server import BINARY

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in (TOP / "docs" / "diagnose").glob("*.md") if p.name != "README.md")
CHROMIUM = pathlib.Path("/usr/bin/chromium")
VOID = {"meta", "input", "br", "hr", "link", "img"}


def diagnose(folder, *options):
    result = subprocess.run([BINARY, "diagnose", ".", *options], cwd=folder, capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def words(text):
    return " ".join(text.split())


# ---- pages ----

def test_every_detector_has_a_page():
    ids = set()
    for source in (TOP / "src" / "diagnose" / "detectors").glob("*.c"):
        ids.update(re.findall(r"^    \.id = \"([^\"]+)\"", source.read_text(), re.M))
    assert len(ids) >= 30
    assert ids == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_example(page, tmp_path):
    text = page.read_text()
    blocks = re.findall(r"^```log (\S+)\n(.*?)^```$", text, re.M | re.S)
    shown = re.search(r"^```console\n\$ candor diagnose \.\n\.\.\.\n(.*?)^\.\.\.\n```$", text, re.M | re.S)
    assert shown, "the page shows no finding"
    if not blocks:
        assert "```text\n#Software" in text, "no example at all"
        return
    for name, content in blocks:
        (tmp_path / name).write_text(content)
    findings = json.loads(diagnose(tmp_path, "--format", "json"))["findings"]
    severity, title = re.match(r"  (\w+) +(.*)", shown[1]).groups()
    report = words(re.sub(r"^ {6}\./.*$", "", shown[1], flags=re.M))
    for finding in findings:
        if words(finding["title"])[:60] == words(report.removeprefix(severity))[:60] \
                or words(finding["title"]) == words(title):
            break
    else:
        pytest.fail(f"no finding {title}: {[f['title'] for f in findings]}")
    assert finding["severity"] == severity
    assert words(finding["why"]) in report
    assert finding["do"]
    for step in finding["do"]:
        assert words(step.split("\n")[0])[:50] in report
    command = re.search(r"^ {4}Next +(.*)$", shown[1], re.M)
    assert (command[1] if command else "") == finding["command"]
    for line in finding["evidence"]:
        if line["file"].endswith(".har"):
            continue  # made of an entry
        assert line["text"] in dict(blocks)[pathlib.Path(line["file"]).name].splitlines()[line["line"] - 1]


# ---- a folder with a bit of everything ----

SITE = "#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time s-ip cs-method " \
       "cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus " \
       "sc-win32-status time-taken\r\n"
HTTPERR = "#Software: Microsoft HTTP API 2.0\r\n#Fields: date time c-ip c-port s-ip s-port cs-version " \
          "cs-method cs-uri streamid sc-status s-siteid s-reason s-queuename\r\n"
HOSTILE = "<script>document.title='broken'</script>\"'><img/src=x/onerror=document.title='broken'>"


def clock(seconds):
    return f"2026-03-10 {8 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs")
    lines = []
    for i in range(3000):
        url = ["/", f"/products/{i}", "/css/site.css", "/api/orders"][i % 4]
        lines.append(f"{clock(i)} 192.0.2.1 GET {url} - 443 - 10.0.{i % 3}.{i % 50} Mozilla/5.0 - 200 0 0 "
                     f"{20 + i % 7 * 30}\r\n")
    for i in range(30):
        lines.append(f"{clock(1200 + i)} 192.0.2.1 GET /shop/{'abcd'[i % 4]} - 443 - 10.0.0.1 Mozilla/5.0 - "
                     f"500 19 33 1\r\n")
    for i in range(5):
        lines.append(f"{clock(1300 + i)} 192.0.2.1 GET /{HOSTILE} {HOSTILE} 443 {HOSTILE} 203.0.113.66 {HOSTILE} "
                     f"- 404 8 0 1\r\n")
    (path / "u_ex260310.log").write_text(SITE + "".join(lines), newline="")
    lines = [f"{clock(2000 + i)} 10.0.0.{i} 50123 192.0.2.1 443 HTTP/1.1 GET / - 503 1 AppOffline ShopPool\r\n"
             for i in range(40)]
    (path / "httperr1.log").write_text(HTTPERR + "".join(lines), newline="")
    return path


class Outline(HTMLParser):
    """Tags that are opened and closed, ids, and what links name."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.faults, self.tags = [], [], [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name == "href":
                self.links.append(value)
            elif name.startswith("on") or name in ("src", "style", "action"):
                self.faults.append(f"{tag} {name}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"/{tag}")


@pytest.fixture(scope="module")
def page(folder):
    out = folder.parent / "report.html"
    diagnose(folder, "--format", "html", "--output", str(out))
    return out


def test_html_is_whole(page):
    outline = Outline()
    outline.feed(page.read_text(encoding="utf-8"))
    assert not outline.open and not outline.faults
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.links and all(link.startswith("#") for link in outline.links)
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert {"svg", "details", "table"} <= outline.tags
    assert not {"img", "iframe", "object", "embed", "form", "link"} & outline.tags


def test_html_says_what_json_says(folder, page):
    text = page.read_text(encoding="utf-8")
    for finding in json.loads(diagnose(folder, "--format", "json"))["findings"]:
        title = finding["title"].replace("&", "&amp;").replace("<", "&lt;")
        assert title in text


class Browser:
    """Headless Chromium by its debugging pipe: one JSON message to a NUL."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="candor-chromium-", ignore_cleanup_errors=True)
        to_read, self.out = os.pipe()
        self.inp, to_write = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={self.profile.name}", "--remote-debugging-pipe"]
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(["/bin/bash", "-c", command, str(CHROMIUM), *flags],
                                        pass_fds=(to_read, to_write), start_new_session=True,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.rest, self.last, self.session, self.noise, self.events = b"", 0, None, [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def message(self, until):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.inp], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self.inp, 1 << 20)
            assert data, "the browser ended"
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\0")
        return json.loads(line)

    def call(self, method, **params):
        self.last += 1
        request = {"id": self.last, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        until = time.monotonic() + 40
        while True:
            answer = self.message(until)
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                return answer["result"]
            self.notice(answer)

    def notice(self, event):
        self.events.append(event.get("method"))
        if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.noise.append(event["params"])

    def open(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        until = time.monotonic() + 40
        while "Page.loadEventFired" not in self.events:
            self.notice(self.message(until))

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition):
        until = time.monotonic() + 10
        while not self.js(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.inp)
        os.close(self.out)
        self.profile.cleanup()


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("no Chromium here")
    browser = Browser()
    yield browser
    browser.close()


def test_html_in_a_browser(browser, page):
    browser.open(page.as_uri())
    assert browser.js("document.title").startswith("Diagnosis of")

    # sorting: by number downwards at first, then upwards; by text
    column = "Array.from(document.querySelectorAll('#clients tbody tr'), r => Number(r.cells[1].dataset.v))"
    click = "document.querySelectorAll('#clients th button')[1].click()"
    browser.js(click)
    down = browser.js(column)
    assert down == sorted(down, reverse=True) and len(down) > 5
    browser.js(click)
    assert browser.js(column) == sorted(down)
    browser.js("document.querySelector('#clients th button').click()")
    names = browser.js("Array.from(document.querySelectorAll('#clients tbody tr'), r => r.cells[0].textContent)")
    assert names == sorted(names)

    # filtering
    browser.js("(() => { const i = document.querySelector('input[data-table=statuses]'); i.value = '500.19';"
               " i.dispatchEvent(new Event('input')); })()")
    assert browser.js("Array.from(document.querySelectorAll('#statuses tbody tr')).filter(r => !r.hidden).length") == 1

    # a code opens its explanation, a button hides a severity
    browser.js("document.querySelector('a[href=\"#code-500.19\"]').click()")
    browser.wait("document.getElementById('code-500.19').open")
    browser.js("document.querySelector('button[data-severity=critical]').click()")
    assert browser.js("document.querySelector('details.f-critical').hidden") is True

    # light and dark
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = browser.js(ground)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    light = browser.js(ground)
    assert light != dark
    browser.js("document.getElementById('theme').click()")
    assert browser.js(ground) == dark

    assert browser.js("document.title").startswith("Diagnosis of"), "a line of the log ran as a script"
    assert browser.noise == []


def test_html_fits_narrow_screens_and_paper(browser, page):
    browser.open(page.as_uri())
    browser.call("Emulation.setDeviceMetricsOverride", width=420, height=800, deviceScaleFactor=1, mobile=False)
    assert browser.js("document.documentElement.scrollWidth") <= 440
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.call("Emulation.setDeviceMetricsOverride", width=720, height=1000, deviceScaleFactor=1, mobile=False)
    assert browser.js("document.documentElement.scrollWidth") <= 720, "wider than paper"
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.call("Emulation.clearDeviceMetricsOverride")
    browser.js("window.opened = 0; addEventListener('beforeprint', () => setTimeout(() => 0));"
               "addEventListener('beforeprint', () => "
               "window.opened = document.querySelectorAll('details:not([open])').length)")
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF-") and len(pdf) > 20000
    assert browser.js("window.opened") == 0, "something was closed on paper"
    assert browser.noise == []
