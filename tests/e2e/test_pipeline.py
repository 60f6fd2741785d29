"""Which error wins: the earliest notification decides, whatever else is wrong with a request."""
import pytest

from harness import Case, Outcomes, Site, own_answer
from harness.apphost import MODULES


def config(inner):
    return f"<configuration><system.webServer>{inner}</system.webServer></configuration>"


FILES = {
    "a.txt": "a", "x.yyy": "odd", "locked.yyy": "odd",
    "redirect/web.config": config('<httpRedirect enabled="true" destination="http://other.test/" />'),
    "redirect/.hidden.txt": "h",
    "filter/web.config": config('<security><requestFiltering><requestLimits maxAllowedContentLength="5" />'
                                "</requestFiltering></security>"), "filter/a.txt": "a",
    "nohandler/web.config": config('<handlers><clear /></handlers>'), "nohandler/a.txt": "a",
    "onlyhtm/web.config": config('<handlers><clear /><add name="S" path="*.htm" verb="GET" '
                                 'modules="StaticFileModule" resourceType="File" requireAccess="Read" /></handlers>'),
    "onlyhtm/a.htm": "htm", "onlyhtm/a.txt": "txt", "onlyhtm/dir.htm/": None,
    "nomodule/web.config": config('<handlers><add name="N" path="*.txt" verb="*" modules="NopeModule" '
                                  'resourceType="Unspecified" /></handlers>'), "nomodule/a.txt": "a",
    "dynamic/web.config": config('<handlers><add name="P" path="*.zip" verb="*" modules="IsapiModule" '
                                 'scriptProcessor="%windir%\\x.dll" preCondition="bitness32" /></handlers>'),
    "dynamic/a.zip": "zip",
    "access/web.config": config('<handlers accessPolicy="None" />'), "access/a.txt": "a",
    "script/web.config": config('<handlers accessPolicy="Read"><add name="S" path="*.txt" verb="*" '
                                'modules="StaticFileModule" requireAccess="Script" /></handlers>'), "script/a.txt": "a",
    "write/web.config": config('<handlers accessPolicy="Read, Script"><add name="W" path="*.txt" verb="*" '
                               'modules="StaticFileModule" requireAccess="Write" /></handlers>'), "write/a.txt": "a",
    "execute/web.config": config('<handlers accessPolicy="Read, Script"><add name="E" path="*.txt" verb="*" '
                                 'modules="StaticFileModule" requireAccess="Execute" /></handlers>'),
    "execute/a.txt": "a",
    **{f"{name}/web.config": f"<configuration><system.web>{inner}</system.web>{more}</configuration>"
       for name, inner, more in [
           ("oldmodules", '<httpModules><add name="m" type="t" /></httpModules>', ""),
           ("oldhandlers", '<httpHandlers><add verb="*" path="*.x" type="t" /></httpHandlers>', ""),
           ("impersonate", '<identity impersonate="true" />', ""),
           ("notvalidated", '<httpModules><add name="m" type="t" /></httpModules>', "<system.webServer>"
            '<validation validateIntegratedModeConfiguration="false" /></system.webServer>')]},
    "notvalidated/a.txt": "a",
    "private/a.txt": "a", "private/bin/x": "x", "private/x.yyy": "odd",
    "ssl/a.txt": "a",
}
LOCATIONS = """
  <location path="Default Web Site/private">
    <system.webServer><security><authentication><anonymousAuthentication enabled="false" /></authentication>
    </security></system.webServer>
  </location>
  <location path="Default Web Site/ssl">
    <system.webServer><security><access sslFlags="Ssl" /></security></system.webServer>
  </location>"""

CASES = [
    Case("no handler", "/nohandler/a.txt", "404.4"),
    Case("handler by path", "/onlyhtm/a.htm", "200"),
    Case("handler by path, other path", "/onlyhtm/a.txt", "404.4"),
    Case("handler by verb, other verb", "/onlyhtm/a.htm", "404.4", method="DELETE"),
    Case("handler by resource type", "/onlyhtm/dir.htm", "404.4"),
    Case("module not listed", "/nomodule/a.txt", "500.21", win32=13),
    Case("script mapped to the static handler", "/dynamic/a.zip", "404.17", win32=50),
    Case("no read access", "/access/a.txt", "403.2", win32=5),
    Case("no script access", "/script/a.txt", "403.1", win32=5),
    Case("no execute access", "/execute/a.txt", "403.1", win32=5),
    Case("no write access", "/write/a.txt", "403.3", win32=5),
    Case("nobody authenticates", "/private/a.txt", "401.2", win32=5, hasnt=("WWW-Authenticate",)),
    Case("ssl required", "/ssl/a.txt", "403.4", win32=5),
    Case("httpModules in an integrated pool", "/oldmodules/a.txt", "500.22", win32=50),
    Case("httpHandlers in an integrated pool", "/oldhandlers/a.txt", "500.23", win32=50),
    Case("impersonation in an integrated pool", "/impersonate/a.txt", "500.24", win32=50),
    Case("validation switched off", "/notvalidated/a.txt", "200"),
    # who wins
    Case("ssl before hidden segment", "/ssl/bin/x", "403.4"),
    Case("filter before authentication", "/private/bin/x", "404.8"),
    Case("authentication before missing file", "/private/none.txt", "401.2"),
    Case("authentication before unknown type", "/private/x.yyy", "401.2"),
    Case("length before authentication", "/filter/a.txt", "404.13", method="POST", body=b"123456"),
    Case("redirect before missing file", "/redirect/none.txt", "302"),
    Case("redirect before hidden file", "/redirect/.hidden.txt", "302"),
    Case("filter before redirect", "/redirect/bin/x", "404.8"),
    Case("missing before unknown type", "/none.yyy", "404.0"),
    Case("unknown type of an existing file", "/x.yyy", "404.3"),
    Case("verb before unknown type", "/x.yyy", "405.0", method="POST", body=b""),
    Case("unreadable before unknown type", "/locked.yyy", "401.3", win32=5),
    Case("no handler before missing file", "/onlyhtm/none.txt", "404.4"),
    Case("verb before not acceptable", "/a.txt", "405.0", method="POST", body=b"", headers={"Accept": "image/png"}),
]


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers.sites(Site(), files={f"inetpub/wwwroot/{k}": v for k, v in FILES.items()},
                                  locations=LOCATIONS, start=False)
    (server.root / "locked.yyy").chmod(0)
    return server.start()


@pytest.fixture(scope="module")
def outcomes(server):
    return Outcomes(server, CASES)


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_case(outcomes, case):
    outcomes.judge(case)


def test_listener_before_everything(server):
    server.expect("Header")
    own_answer(server.raw(b"GET /bin/x HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n"), "Header")


def test_disabled_server_runtime(servers):
    server = servers.sites(Site(), web_server='<serverRuntime enabled="false" />')
    assert server.get("/").code == "503.0"


def test_modules_not_loaded_do_nothing(servers):
    """Without ProtocolSupportModule OPTIONS is answered by nobody; without filtering /bin is a folder."""
    modules = ["HttpLoggingModule", "StaticFileModule", "AnonymousAuthenticationModule", "CustomErrorModule"]
    handlers = ('<add name="StaticFile" path="*" verb="*" modules="StaticFileModule" resourceType="Either" '
                'requireAccess="Read" />')
    server = servers.sites(Site(), modules=modules, handlers=handlers, files={"inetpub/wwwroot/bin/x.txt": "x"})
    assert server.get("/bin/x.txt").body == b"x"
    assert server.request("OPTIONS", "/bin/x.txt").status == 405
    assert server.request("TRACE", "/bin/x.txt").status == 405


def test_head_has_the_length_of_the_get_or_none(servers):
    """A body that nobody has made for a HEAD has no length; 0 would be a lie."""
    server = servers.sites(Site(), modules=[m for m in MODULES if m != "CustomErrorModule"],
                           files={"inetpub/wwwroot/a.txt": "abc"})
    assert server.request("HEAD", "/a.txt").get("Content-Length") == "3"
    assert server.get("/missing").get("Content-Length") == "0"
    reply = server.request("HEAD", "/missing")
    assert (reply.status, reply.get("Content-Length")) == (404, None)
    with server.connect() as conn:
        for _ in range(2):                   # the connection stays in step
            conn.send(b"HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n")
            assert conn.read("HEAD").status == 404
