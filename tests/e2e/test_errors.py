"""CustomErrorModule: which page a failed request gets, for whom, and what the pages say."""
import html
import re

import pytest

from harness import Pool, Site
from harness.server import REMOTE_CLIENT, REMOTE_SERVER, can_have_private_network


def errors(attributes="", inner=""):
    return (f"<configuration><system.webServer><httpErrors {attributes}>{inner}</httpErrors>"
            "</system.webServer></configuration>")


REPLACE_404 = '<remove statusCode="404" subStatusCode="-1" />'
FILES = {
    "a.txt": "a", "own404.htm": "<h1>own page</h1>", "page.htm": "<h1>executed page</h1>",
    "x.yyy": "odd",
    "detailed/web.config": errors('errorMode="Detailed"'),
    "custom/web.config": errors('errorMode="Custom"'),
    "customfile/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                    '<error statusCode="404" path="own404.htm" />'),
    "customsub/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                   '<error statusCode="404" path="own404.htm" />'
                                   '<error statusCode="404" subStatusCode="8" path="page.htm" />'),
    "execute/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                 '<error statusCode="404" path="/page.htm" responseMode="ExecuteURL" />'),
    "executemissing/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                        '<error statusCode="404" path="/gone.htm" responseMode="ExecuteURL" />'),
    "redirect/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                  '<error statusCode="404" path="http://other.test/oops" '
                                  'responseMode="Redirect" />'),
    "missing/web.config": errors('errorMode="Custom"', REPLACE_404 +
                                 '<error statusCode="404" path="not-there.htm" />'),
    "cleared/web.config": errors('errorMode="Custom"', "<clear />"),
    "pass/web.config": errors('existingResponse="PassThrough"'),
    "replace/web.config": errors('errorMode="Custom" existingResponse="Replace"'),
}


@pytest.fixture(scope="module")
def server(module_servers):
    files = {f"inetpub/wwwroot/{name}": content for name, content in FILES.items()}
    files["inetpub/custerr/de-DE/404.htm"] = "<html>deutsche Seite</html>"
    return module_servers.sites(Site(), files=files)


def rows_of(page):
    """The rows of the detailed page's tables: {heading: value}."""
    found = re.findall(r"<th>(.*?)</th><td>(.*?)</td>", page, re.S)
    return {k: html.unescape(re.sub(r"<.*?>", "", v)).replace("\xa0", "").strip() for k, v in found}


def test_detailed_page_of_a_missing_file(server):
    answer = server.get("/none.txt?q=1")
    page = answer.text
    assert answer.get("Cache-Control") == "private"
    assert answer.get("Content-Type") == "text/html; charset=utf-8"
    assert "<title>IIS 10.0 Detailed Error - 404.0 - Not Found</title>" in page
    assert '<div id="content">' in page and "<h3>HTTP Error 404.0 - Not Found</h3>" in page
    assert "<h4>Most likely causes:</h4>" in page and "<h4>Things you can try:</h4>" in page
    rows = rows_of(page)
    assert rows["Module"] == "IIS Web Core" and rows["Notification"] == "MapRequestHandler"
    assert rows["Handler"] == "StaticFile" and rows["Error Code"] == "0x80070002"
    assert rows["Requested URL"] == f"http://127.0.0.1:{server.port}/none.txt?q=1"
    assert rows["Physical Path"].lower().endswith("\\inetpub\\wwwroot\\none.txt") or \
        rows["Physical Path"].endswith("/inetpub/wwwroot/none.txt")
    assert rows["Logon Method"] == "Anonymous" and rows["Logon User"] == "Anonymous"
    assert "LinkID=62293&amp;IIS70Error=404,0,0x80070002," in page


@pytest.mark.parametrize("method,target,module,notification,code", [
    ("GET", "/bin/x", "RequestFilteringModule", "BeginRequest", "0x00000000"),
    ("GET", "/detailed/", "DirectoryListingModule", "ExecuteRequestHandler", "0x00000000"),
    ("POST", "/a.txt", "StaticFileModule", "ExecuteRequestHandler", "0x80070001"),
    ("GET", "/x.yyy", "StaticFileModule", "ExecuteRequestHandler", "0x80070032"),
])
def test_detailed_page_names_who_failed_the_request(server, method, target, module, notification, code):
    answer = server.request(method, target, body=b"" if method == "POST" else None)
    rows = rows_of(answer.text)
    assert (rows["Module"], rows["Notification"], rows["Error Code"]) == (module, notification, code)


def test_detailed_page_escapes_what_the_client_sent(server):
    page = server.get("/%3Cscript%3Ealert(1)%3C/script%3E?%3Cb%3E<i>\"'", host="127.0.0.1").text
    assert "<script>alert" not in page and "<i>" not in page


def test_error_header_for_local_clients(server):
    mark = server.get("/nope").get("X-Candor-Error")
    assert re.fullmatch(r"404\.0 .+; id=[0-9A-Za-z-]+", mark)
    assert server.get("/a.txt").get("X-Candor-Error") is None


def test_custom_mode_hides_the_details(server):
    answer = server.get("/custom/nope")
    assert answer.status == 404 and answer.body == b"<html><body>custom page for 404</body></html>\r\n"
    assert answer.get("Content-Type") == "text/html"


def test_file_of_the_site(server):
    assert server.get("/customfile/nope").body == b"<h1>own page</h1>"


def test_entry_with_substatus_wins(server):
    assert server.get("/customsub/nope").body == b"<h1>own page</h1>"
    assert server.get("/customsub/bin/x").body == b"<h1>executed page</h1>"


def test_language_of_the_client(server):
    german = server.get("/custom/nope", {"Accept-Language": "de-DE,de;q=0.9"})
    assert german.body == b"<html>deutsche Seite</html>"
    french = server.get("/custom/nope", {"Accept-Language": "fr-FR"})
    assert french.body == b"<html><body>custom page for 404</body></html>\r\n"


@pytest.mark.parametrize("language", ["../../../wwwroot", "..\\..\\windows", "/etc", "de-DE/..", "%2e%2e"])
def test_language_cannot_walk_the_disk(server, language):
    answer = server.get("/custom/nope", {"Accept-Language": language})
    assert answer.status == 404 and answer.body == b"<html><body>custom page for 404</body></html>\r\n"


def test_execute_url(server):
    answer = server.get("/execute/nope")
    assert answer.body == b"<h1>executed page</h1>"
    assert answer.status == 200           # the child's status is what the client gets


def test_execute_url_that_fails_is_not_handled_again(server):
    answer = server.get("/executemissing/nope")
    assert answer.status == 404 and b"custom page" not in answer.body


def test_execute_url_in_another_pool(servers):
    """Only requests of one pool can be handed on: 403.18 instead of the page."""
    application = ('<application path="/app" applicationPool="Second">'
                   '<virtualDirectory path="/" physicalPath="%SystemDrive%\\app" /></application>')
    server = servers.sites(
        Site(applications=application), pools=[Pool("DefaultAppPool"), Pool("Second")],
        files={"app/page.htm": "other pool", "inetpub/wwwroot/web.config": errors(
            'errorMode="Custom"', REPLACE_404 +
            '<error statusCode="404" path="/app/page.htm" responseMode="ExecuteURL" />')})
    answer = server.get("/nope")
    assert answer.code == "403.18" and b"other pool" not in answer.body
    assert server.w3c_for("/nope")["sc-substatus"] == "18"


def test_redirect_mode(server):
    answer = server.get("/redirect/nope?tagged")
    assert answer.status == 302 and answer.get("Location", "").startswith("http://other.test/oops")
    assert server.w3c_for("/redirect/nope")["sc-status"] == "302"


def test_missing_error_file_leaves_one_line(server):
    answer = server.get("/missing/nope")
    assert answer.status == 404 and 0 < len(answer.body) < 400 and b"<h3>" not in answer.body


def test_no_entry_leaves_one_line(server):
    answer = server.get("/cleared/nope")
    assert answer.status == 404 and 0 < len(answer.body) < 300 and b"<" not in answer.body
    assert answer.get("Content-Type") == "text/html"


def test_pass_through_without_a_body(server):
    answer = server.get("/pass/nope")
    assert answer.status == 404 and len(answer.body) < 300


def test_head_has_the_headers_only(server):
    with server.connect() as conn:
        conn.send("HEAD /nope HTTP/1.1\r\nHost: x\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        first, second = conn.read("HEAD"), conn.read()
    assert first.status == 404 and int(first.get("Content-Length")) > 0
    assert second.body == b"a"


# --- clients on other machines ---

needs_network = pytest.mark.skipif(not can_have_private_network(), reason="needs a network namespace (root)")


@pytest.fixture(scope="module")
def far_server(module_servers):
    files = {f"inetpub/wwwroot/{name}": content for name, content in FILES.items()}
    files["inetpub/wwwroot/broken/web.config"] = "<configuration><system.webServer><oops"
    return module_servers.sites(Site(ip=REMOTE_SERVER), files=files, private_network=True)


@needs_network
@pytest.mark.parametrize("target,status,body", [
    ("/nope", 404, b"custom page for 404"), ("/bin/x", 404, b"custom page for 404"),
    ("/broken/x", 500, b"custom page for 500"),
])
def test_remote_clients_get_the_custom_page(far_server, target, status, body):
    far_server.tolerate_events("2307|web.config")
    answer = far_server.get(target, source=REMOTE_CLIENT)
    assert (answer.status, body in answer.body) == (status, True)
    assert answer.get("X-Candor-Error") is None
    assert str(far_server.drive).encode() not in answer.body and b"oops" not in answer.body


@needs_network
def test_remote_client_of_a_detailed_folder(far_server):
    answer = far_server.get("/detailed/nope", source=REMOTE_CLIENT)
    assert "IIS 10.0 Detailed Error" in answer.text and answer.code == "404.0"


@needs_network
def test_own_address_is_local(far_server):
    answer = far_server.get("/nope", source=REMOTE_SERVER)
    assert "IIS 10.0 Detailed Error" in answer.text


@needs_network
def test_remote_clients_get_no_mark_from_the_listener(far_server):
    far_server.expect("Verb")
    with far_server.connect(source=REMOTE_CLIENT) as conn:
        conn.send(b"get / HTTP/1.1\r\n\r\n")
        raw = conn.read_to_end()
    assert raw.startswith(b"HTTP/1.1 400 ") and b"X-Candor-Error" not in raw


def test_path_with_a_slash_in_front_is_below_the_site(servers):
    """Many a web.config has path="/errors/404.html": no drive, so a file of the site, not of the machine."""
    config = ('<configuration><system.webServer><httpErrors errorMode="Custom"><remove statusCode="404" />'
              '<error statusCode="404" path="/errors/404.html" responseMode="File" /><remove statusCode="405" />'
              '<error statusCode="405" path="/etc/passwd" responseMode="File" /></httpErrors></system.webServer>'
              "</configuration>")
    server = servers.sites(Site(), files={"inetpub/wwwroot/web.config": config, "inetpub/wwwroot/a.txt": "a",
                                          "inetpub/wwwroot/errors/404.html": "the site's own"})
    missing = server.get("/nope")
    assert (missing.status, missing.body) == (404, b"the site's own")
    refused = server.request("POST", "/a.txt", body=b"x")
    assert refused.status == 405 and b"root:" not in refused.body
