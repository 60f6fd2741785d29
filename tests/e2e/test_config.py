"""Configuration: every kind of 500.19 with its page, locks and what unlocks them, inheritance,
reload of saved files, and an applicationHost.config that becomes invalid while serving.
"""
import html
import os
import re

import pytest

from harness import AppHost, Pool, Site, wait_until
from harness.server import replace_file

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<configuration>\n'
LOCKED = ("This configuration section cannot be used at this path. This happens when the section is locked at a "
          "parent level. Locking is either by default (overrideModeDefault=\"Deny\"), or set explicitly by a "
          "location tag with overrideMode=\"Deny\" or the legacy allowOverride=\"false\".")


def wrap(*lines):
    """A web.config whose system.webServer holds these lines; the first of them is line 4."""
    return HEAD + "  <system.webServer>\n" + "".join(f"    {line}\n" for line in lines) + \
        "  </system.webServer>\n</configuration>\n"


# name: (content, HRESULT, Config Error, line or None, Module, Notification)
BROKEN = {
    "notxml": (HEAD + "  <system.webServer>\n    <defaultDocument>\n  </system.webServer>\n</configuration>\n",
               0x8007000D, "Configuration file is not well-formed XML", 5, "IIS Web Core", "Unknown"),
    "emptyfile": ("", 0x8007000D, "Configuration file is not well-formed XML", None, "IIS Web Core", "Unknown"),
    "plaintext": ("hello", 0x8007000D, "Configuration file is not well-formed XML", 1, "IIS Web Core", "Unknown"),
    "unknownsection": (wrap("<nonsense />"), 0x8007000D, "", None, "IIS Web Core", "Unknown"),
    "rootsection": (HEAD + "  <standardThings />\n</configuration>\n", 0x80070032,
                    "The configuration section 'standardThings' cannot be read because it is missing a section "
                    "declaration", 3, "IIS Web Core", "Unknown"),
    "unknownelement": (wrap("<directoryBrowse>", "  <oops />", "</directoryBrowse>"), 0x8007000D,
                       "Unrecognized element 'oops'", 5, "DirectoryListingModule", "ExecuteRequestHandler"),
    "unknownattribute": (wrap('<directoryBrowse enabeld="true" />'), 0x8007000D,
                         "Unrecognized attribute 'enabeld'", 4, "DirectoryListingModule", "ExecuteRequestHandler"),
    "missingattribute": (wrap("<staticContent>", '  <mimeMap fileExtension=".q" />', "</staticContent>"), 0x8007000D,
                         "Missing required attribute 'mimeType'", 5, "StaticFileModule", "ExecuteRequestHandler"),
    "badbool": (wrap('<directoryBrowse enabled="maybe" />'), 0x8007000D,
                "The 'enabled' attribute is invalid.  Not a valid boolean", 4, "DirectoryListingModule",
                "ExecuteRequestHandler"),
    "baduint": (wrap("<security>", "<requestFiltering>", '<requestLimits maxUrl="-1" />', "</requestFiltering>",
                     "</security>"), 0x8007000D, "The 'maxUrl' attribute is invalid.  Not a valid unsigned integer",
                6, "RequestFilteringModule", "BeginRequest"),
    "badenum": (wrap("<httpRedirect", '  httpResponseStatus="Sometimes" />'), 0x8007000D,
                "The 'httpResponseStatus' attribute is invalid.  Enum must be one of Permanent, Found, Temporary, "
                "PermRedirect", 4, "HttpRedirectionModule", "MapRequestHandler"),
    "badrange": (wrap("<httpErrors>", '<error statusCode="200" path="x.htm" />', "</httpErrors>"), 0x8007000D,
                 "The 'statusCode' attribute is invalid.  Integer value must be between 400 and 999 inclusive", 5,
                 "CustomErrorModule", "SendResponse"),
    "duplicate": (wrap("<staticContent>", '  <mimeMap fileExtension=".txt" mimeType="text/plain" />',
                       "</staticContent>"), 0x800700B7,
                  "Cannot add duplicate collection entry of type 'mimeMap' with unique key attribute "
                  "'fileExtension' set to '.txt'", 5, "StaticFileModule", "ExecuteRequestHandler"),
    "duplicatecombined": (wrap("<httpErrors>", '<error statusCode="404" path="x.htm" />', "</httpErrors>"),
                          0x800700B7, "Cannot add duplicate collection entry of type 'error' with combined key "
                          "attributes 'statusCode, subStatusCode' respectively set to '404, -1'", 5,
                          "CustomErrorModule", "SendResponse"),
    "twice": (wrap("<directoryBrowse />", "<directoryBrowse />"), 0x800700B7,
              "Config section 'system.webServer/directoryBrowse' already defined. Sections must only appear once "
              "per config file. See the help topic <location> for exceptions", 5, None, None),
    "lockedsection": (wrap("<httpLogging dontLog=\"true\" />"), 0x80070021, LOCKED, 4, "HttpLoggingModule",
                      "LogRequest"),
    "lockedcore": (wrap("<serverRuntime />"), 0x80070021, LOCKED, 4, "IIS Web Core", "BeginRequest"),
    "lockedauth": (wrap("<security>", "<authentication>", '<anonymousAuthentication enabled="true" />',
                        "</authentication>", "</security>"), 0x80070021, LOCKED, 6,
                   "AnonymousAuthenticationModule", "AuthenticateRequest"),
    "lockeditem": (wrap("<modules>", '  <remove name="StaticFileModule" />', "</modules>"), 0x80070021,
                   "Lock violation", 5, None, None),
    "lockedattribute": (wrap('<staticContent isDocFooterFileName="true" />'), 0x80070021, "Lock violation", 4,
                        "StaticFileModule", "ExecuteRequestHandler"),
    "absolutepath": (wrap("<httpErrors>", '  <remove statusCode="404" />',
                          '  <error statusCode="404" path="C:\\x.htm" />', "</httpErrors>"), 0x8007000D,
                     'Absolute physical path "C:\\x.htm" is not allowed in system.webServer/httpErrors section in '
                     "web.config file. Use relative path instead.", 6, "CustomErrorModule", "SendResponse"),
    "toolarge": (wrap("<!-- " + "x" * 260_000 + " -->"), 0x80070032,
                 "Cannot read configuration file because it exceeds the maximum file size", None, None, None),
    "badsource": (wrap('<directoryBrowse configSource="none.config" />'), 0x8007000D,
                  "Specified configSource cannot be parsed", 4, "DirectoryListingModule", "ExecuteRequestHandler"),
}
LOW_WORD = {0x8007000D: "13", 0x80070021: "33", 0x800700B7: "183", 0x80070032: "50", 0x80070005: "5",
            0x80070003: "3"}

FINE = {
    "foreign": (HEAD + "  <appSettings><add key='a' value='b' odd='c'/></appSettings>\n"
                "  <system.web><compilation anything='goes'/></system.web>\n</configuration>\n"),
    "namespace": ('<configuration xmlns="http://schemas.microsoft.com/.NetConfiguration/v2.0"><system.webServer>'
                  "</system.webServer></configuration>"),
    "utf16": None,
    "registered": (HEAD + "  <configSections><section name='mine' type='x'/></configSections>\n"
                   "  <mine whatever='1'><deep/></mine>\n</configuration>\n"),
    "emptygroups": wrap("<security />", "<modules />"),
}


@pytest.fixture(scope="module")
def server(module_servers):
    files = {"inetpub/wwwroot/a.txt": "a"}
    for name, row in BROKEN.items():
        files[f"inetpub/wwwroot/{name}/web.config"] = row[0]
        files[f"inetpub/wwwroot/{name}/a.txt"] = "a"
    for name, content in FINE.items():
        content = content or ('<?xml version="1.0" encoding="utf-16"?>\r\n<configuration></configuration>'
                              .encode("utf-16"))
        files[f"inetpub/wwwroot/{name}/web.config"] = content
        files[f"inetpub/wwwroot/{name}/a.txt"] = "a"
    server = module_servers.sites(Site(), files=files)
    server.tolerate_events("2307")        # the worker reports each unreadable file
    return server


def request_that_reads(server, name):
    """A request for which the module concerned reads its section."""
    if BROKEN[name][4] in ("DirectoryListingModule",):
        os.makedirs(server.root / name / "sub", exist_ok=True)
        return server.get(f"/{name}/sub/")
    if BROKEN[name][4] == "CustomErrorModule":
        return server.get(f"/{name}/nope.txt")
    return server.get(f"/{name}/a.txt")


def page_rows(page):
    found = re.findall(r"<th>(.*?)</th><td>(.*?)</td>", page, re.S)
    return {html.unescape(k): html.unescape(re.sub(r"<.*?>", "", v)).replace("\xa0", "").strip() for k, v in found}


def config_source(page):
    """The excerpt: [(number, text, is it the highlighted one)]."""
    block = re.search(r'class="[^"]*config_source">.*?<pre><code>(.*?)</code></pre>', page, re.S)
    lines = []
    for line in block[1].splitlines() if block else []:
        marked = "highlight-code" in line
        plain = html.unescape(re.sub(r"<.*?>", "", line))
        match = re.match(r" *(-?\d+): ?(.*)$", plain)
        if match:
            lines.append((int(match[1]), match[2], marked))
    return lines


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(server, name):
    content, hresult, text, line, module, notification = BROKEN[name]
    answer = request_that_reads(server, name)
    assert answer.code == "500.19", answer
    page, rows = answer.text, page_rows(answer.text)
    assert "IIS 10.0 Detailed Error - 500.19 - Internal Server Error" in page
    assert rows["Error Code"] == f"0x{hresult:08x}"
    assert rows["Config Error"] == text
    assert rows["Config File"].replace("/", "\\").lower().endswith(f"\\{name}\\web.config")
    if module:
        assert (rows["Module"], rows["Notification"]) == (module, notification)
    if line is None:
        assert [n for n, _, _ in config_source(page)] in ([-1, 0], [])
    else:
        source = config_source(page)
        wanted = content.split("\n")
        assert (line, wanted[line - 1], True) in source, source
        for number, excerpt, marked in source:
            assert abs(number - line) <= 1 and marked == (number == line)
            if 0 < number <= len(wanted):
                assert excerpt == wanted[number - 1]


@pytest.mark.parametrize("name", ["notxml", "badbool", "duplicate", "lockedcore", "twice", "toolarge"])
def test_log_record_of_a_broken_file(server, name):
    request_that_reads(server, name)
    record = server.w3c(wait=lambda r: r["cs-uri-stem"].startswith(f"/{name}/"))[-1]
    assert (record["sc-status"], record["sc-substatus"], record["sc-win32-status"]) == \
        ("500", "19", LOW_WORD[BROKEN[name][1]])


@pytest.mark.parametrize("name", ["lockedsection", "lockedcore", "lockedauth"])
def test_locked_section_tells_what_unlocks_it(server, name):
    """Beyond IIS: which file holds the lock, and the line that would lift it."""
    page = html.unescape(request_that_reads(server, name).text)
    section = re.search(r"<(\w+) ", BROKEN[name][0].split("\n")[BROKEN[name][3] - 1] + " ")[1]
    assert "applicationHost.config" in page
    assert re.search(r'overrideMode(Default)?="Allow"', page) and section in page
    lines = server.config_path.read_text().split("\n")
    number = next(i for i, line in enumerate(lines, 1) if f'<section name="{section}"' in line)
    assert re.search(rf"\b{number}\b", page)


@pytest.mark.parametrize("name", ["badbool", "unknownattribute", "lockeditem"])
def test_other_folders_are_not_touched(server, name):
    assert request_that_reads(server, name).code == "500.19"
    assert server.get("/a.txt").body == b"a"


@pytest.mark.parametrize("name", FINE)
def test_file_that_is_fine(server, name):
    assert server.get(f"/{name}/a.txt").body == b"a"


def test_section_nobody_reads_does_no_harm(server):
    """A fault in directoryBrowse shows when a listing is asked for, not for a file."""
    assert server.get("/badbool/a.txt").status == 200


def test_script_in_a_broken_file_is_escaped(server):
    folder = server.root / "evil"
    folder.mkdir()
    (folder / "web.config").write_text(wrap('<oops a="<script>alert(1)</script>" />'))
    answer = server.get("/evil/a.txt")
    assert answer.code == "500.19" and "<script>alert" not in answer.text


def test_unreadable_file(server):
    folder = server.root / "unreadable"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "web.config").write_text(wrap("<directoryBrowse />"))
    (folder / "web.config").chmod(0)
    answer = server.get("/unreadable/a.txt")
    assert answer.code == "500.19"
    rows = page_rows(answer.text)
    assert rows["Error Code"] == "0x80070005"
    assert rows["Config Error"] == "Cannot read configuration file due to insufficient permissions"


def test_missing_root_folder(servers):
    server = servers.sites(Site(), Site(name="gone", id=2, folder="gone"))
    (server.drive / "gone").rmdir()
    server.tolerate_events("2307|gone")
    answer = server.get("/", site="gone")
    assert answer.code == "500.19"
    assert page_rows(answer.text)["Error Code"] == "0x80070003"
    assert server.w3c_for("/", "2")["sc-win32-status"] == "3"


# --- inheritance ---

def test_deeper_files_win_and_clear_cuts_off(servers):
    def documents(inner):
        return wrap(f"<defaultDocument><files>{inner}</files></defaultDocument>")
    server = servers.sites(Site(), files={
        "inetpub/wwwroot/web.config": documents('<add value="top.txt" />'),
        "inetpub/wwwroot/one/web.config": documents('<add value="one.txt" />'),
        "inetpub/wwwroot/two/web.config": documents('<clear /><add value="two.txt" />'),
        "inetpub/wwwroot/three/web.config": documents('<remove value="top.txt" />'),
        **{f"inetpub/wwwroot/{d}/{n}.txt": n for d in ("one", "two", "three", "plain")
           for n in ("top", "one", "two")},
        "inetpub/wwwroot/three/index.htm": "index", "inetpub/wwwroot/two/index.htm": "index"})
    assert server.get("/plain/").body == b"top"
    assert server.get("/one/").body == b"one"
    assert server.get("/two/").body == b"two"
    assert server.get("/three/").body == b"index"


def test_locations_of_the_server_file(servers):
    browse = '<system.webServer><directoryBrowse enabled="{}" /></system.webServer>'
    server = servers.sites(
        Site(), Site(name="b", id=2, folder="b"),
        locations=f'<location path="b">{browse.format("true")}</location>'
                  f'<location path="b/shut">{browse.format("false")}</location>'
                  f'<location path="b/fixed" overrideMode="Deny">{browse.format("false")}</location>',
        files={"b/x.txt": "", "b/shut/x.txt": "", "b/fixed/web.config": wrap('<directoryBrowse enabled="true" />'),
               "b/open/x.txt": ""})
    server.tolerate_events("2307")
    assert server.get("/", site="Default Web Site").code == "403.14"
    assert server.get("/", site="b").status == 200
    assert server.get("/open/", site="b").status == 200
    assert server.get("/shut/", site="b").code == "403.14"
    assert server.get("/fixed/", site="b").code == "500.19"


def test_location_inside_web_config(servers):
    server = servers.sites(Site(), files={
        "inetpub/wwwroot/web.config": HEAD + '<location path="sub"><system.webServer>'
        '<directoryBrowse enabled="true" /></system.webServer></location></configuration>',
        "inetpub/wwwroot/sub/x.txt": "", "inetpub/wwwroot/other/x.txt": ""})
    assert server.get("/sub/").status == 200 and server.get("/other/").code == "403.14"


def test_child_application_and_virtual_directory(servers):
    applications = ('<application path="/app" applicationPool="Second">'
                    '<virtualDirectory path="/" physicalPath="%SystemDrive%\\app" />'
                    '<virtualDirectory path="/files" physicalPath="%SystemDrive%\\more\\files" /></application>')
    server = servers.sites(
        Site(applications=applications, root_inner='<virtualDirectory path="/v" physicalPath="%systemdrive%\\vdir" />'),
        pools=[Pool("DefaultAppPool"), Pool("Second")],
        files={"app/a.txt": "app", "more/files/f.txt": "file", "vdir/v.txt": "vdir",
               "inetpub/wwwroot/a.txt": "root"})
    for target, body in (("/a.txt", b"root"), ("/app/a.txt", b"app"), ("/APP/a.txt", b"app"),
                         ("/app/files/f.txt", b"file"), ("/v/v.txt", b"vdir")):
        assert server.get(target).body == body
    assert len(server.find("worker")) == 2


def test_drive_letters_and_letter_case_in_paths(servers):
    site = Site(folder="Content/My Site")
    server = servers.sites(site, files={"Content/My Site/a.txt": "a"}, start=False)
    text = server.config_path.read_text()
    server.config_path.write_text(text.replace("%SystemDrive%\\Content\\My Site", "C:\\CONTENT\\my site"))
    server.start()
    assert server.get("/a.txt").body == b"a"


# --- reload ---

def test_saved_web_config_takes_effect(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/x.txt": "x"})
    path = server.root / "web.config"
    with server.connect() as conn:        # the same connection lives through all of it
        def ask(target="/"):
            conn.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
            return conn.read()
        assert ask().code == "403.14"
        path.write_text(wrap('<directoryBrowse enabled="true" />'))
        wait_until(lambda: ask().status == 200, "listing after saving web.config", 5)
        replace_file(path, wrap('<directoryBrowse enabled="false" />'))
        wait_until(lambda: ask().code == "403.14", "no listing after replacing web.config", 5)
        path.write_text("<configuration")
        wait_until(lambda: ask("/x.txt").code == "500.19", "500.19 after breaking web.config", 5)
        path.unlink()
        wait_until(lambda: ask("/x.txt").status == 200, "service after removing web.config", 5)
    server.tolerate_events("2307|web.config")


def test_saved_application_host_config_takes_effect(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/x.txt": "x", "new/x.txt": "new"})
    server.tolerate("Hostname")           # a connection to the site that is just being removed
    port = Site().port
    with server.connect() as conn:
        conn.send("GET /x.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.read().body == b"x"
        server.config.sites.append(Site(name="new", id=2, folder="new", port=port))
        replace_file(server.config_path, server.config.render())

        def reachable():
            try:
                with server.connect(address=("127.0.0.1", port)) as second:
                    second.send("GET /x.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    return second.read().body == b"new"
            except OSError:
                return False
        wait_until(reachable, "the new site answers", 10)
        conn.send("GET /x.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.read().body == b"x"
        server.config.sites.pop()
        replace_file(server.config_path, server.config.render())
        wait_until(lambda: not reachable(), "the removed site is gone", 10)


def test_invalid_application_host_config_keeps_the_last_good_state(servers):
    server = servers.sites(Site(), files={"inetpub/wwwroot/x.txt": "x"})
    good = server.config_path.read_text()
    replace_file(server.config_path, good.replace("</sites>", "</sits>"))
    event = server.wait_event("5172")
    line = good[:good.index("</sites>")].count("\n") + 1
    assert f"applicationHost.config cannot be read at line {line}:" in event["text"]
    server.tolerate_events("5172", "applicationHost.config")
    assert server.get("/x.txt").body == b"x"
    replace_file(server.config_path, good)
    assert server.get("/x.txt").body == b"x"


def test_saved_files_under_load(servers):
    """No request fails while both files are saved again and again."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/x.txt": "x", "inetpub/wwwroot/web.config": wrap()})
    conns = [server.connect() for _ in range(8)]
    for turn in range(60):
        if turn % 10 == 0:
            replace_file(server.config_path, server.config.render() + f"<!-- {turn} -->")
        if turn % 3 == 0:
            replace_file(server.root / "web.config", wrap(f"<!-- {turn} -->"))
        for conn in conns:
            conn.send("GET /x.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        for conn in conns:
            assert conn.read().body == b"x"


def test_start_with_a_broken_server_file(servers):
    server = servers(config=AppHost(), start=False)
    text = server.config_path.read_text()
    broken = text.replace("<listenerAdapters>", "<listenerAdaptors>").replace("</listenerAdapters>",
                                                                              "</listenerAdaptors>")
    server.config_path.write_text(broken)
    line = next(i for i, row in enumerate(broken.split("\n"), 1) if "listenerAdaptors" in row)
    server.exit_code = 1
    server.spawn()
    server.wait_line(rf"applicationHost\.config:{line}:(\d+:)? ")
    server.process.wait(20)
