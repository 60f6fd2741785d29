"""The example site keeps what its start page promises: each link gives the code it names. And a site
that somebody brings along, with a web.config full of sections of other modules.
"""
import pathlib
import re
import shutil
import subprocess

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
LINK = re.compile(r'<tr><td><a href="([^"]+)">[^<]*</a></td><td>(.*?)</td>')
PROMISES = LINK.findall((EXAMPLES / "index.html").read_text())
WORKING = {"STYLE.css": "200", "docs": "301", "files/": "200", "old/anything.html": "302", "quiet/note.txt": "200"}

BROUGHT_ALONG = """<?xml version="1.0" encoding="UTF-8"?>
<configuration>
  <system.web>
    <compilation debug="false" targetFramework="4.8" />
    <customErrors mode="Off" />
  </system.web>
  <connectionStrings><add name="db" connectionString="x" /></connectionStrings>
  <system.webServer>
    <rewrite>
      <rules>
        <rule name="pretty" patternSyntax="Wildcard">
          <match url="*" />
          <conditions>
            <add input="{REQUEST_FILENAME}" matchType="IsFile" negate="true" />
          </conditions>
          <action type="Rewrite" url="index.php" />
        </rule>
      </rules>
    </rewrite>
    <httpCompression><dynamicTypes><add mimeType="text/x" enabled="true" /></dynamicTypes></httpCompression>
    <urlCompression doDynamicCompression="true" />
    <defaultDocument><files><clear /><add value="index.php" /><add value="index.html" /></files></defaultDocument>
    <staticContent>
      <remove fileExtension=".woff2" />
      <mimeMap fileExtension=".woff2" mimeType="font/woff2" />
    </staticContent>
    <httpErrors existingResponse="Auto" />
  </system.webServer>
</configuration>
"""


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers(files={}, start=False)
    shutil.copytree(EXAMPLES, server.root, dirs_exist_ok=True)
    server.tolerate_events("2307")        # typo/web.config is broken on purpose
    return server.start()


def test_the_page_promises_something():
    assert len(PROMISES) >= 15 and set(WORKING) < {link for link, _ in PROMISES}


@pytest.mark.parametrize("link,promise", PROMISES, ids=[p[0] for p in PROMISES])
def test_link(server, link, promise):
    answer = server.get("/" + link)
    if link in WORKING:
        assert str(answer.status) == WORKING[link]
    else:
        assert answer.code == promise


def test_own_error_page(server):
    assert b"folder's own page for 404" in server.get("/errors/nowhere.html").body


def test_commands_of_the_page(server):
    """The printf lines give the reasons written behind them."""
    page = (EXAMPLES / "index.html").read_text()
    lines = re.findall(r"^(printf '.*?') +\| nc localhost 8080 +# (\d+), (\S+)$", page, re.M)
    assert len(lines) == 3
    for command, status, reason in lines:
        data = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True).stdout
        server.expect(reason)
        with server.connect() as conn:
            conn.send(data)
            assert conn.read().status == int(status)
            assert server.httperr_for(conn.port)["s-reason"] == reason


def test_site_with_sections_of_other_modules(servers):
    """What we do not implement is accepted, not refused; what we do implement counts."""
    server = servers(files={"web.config": BROUGHT_ALONG, "index.html": "<p>wp</p>", "a.woff2": "font",
                            "wp-content/x.css": "p {}"})
    assert server.get("/").body == b"<p>wp</p>"
    assert server.get("/a.woff2").get("Content-Type") == "font/woff2"
    assert server.get("/wp-content/x.css").status == 200
