"""HttpRedirectionModule: status, destination, wildcards, exactness, what it wins against."""
import pytest

from harness import Case, Outcomes


def config(attributes, inner=""):
    return ("<configuration><system.webServer>"
            f'<httpRedirect enabled="true" {attributes}>{inner}</httpRedirect>'
            "</system.webServer></configuration>")


FILES = {
    "found/web.config": config('destination="http://other.test/new"'), "found/a.txt": "a",
    "permanent/web.config": config('destination="http://other.test/" httpResponseStatus="Permanent"'),
    "temporary/web.config": config('destination="http://other.test/" httpResponseStatus="Temporary"'),
    "perm308/web.config": config('destination="http://other.test/" httpResponseStatus="PermRedirect"'),
    "exact/web.config": config('destination="http://other.test/one" exactDestination="true"'),
    "child/web.config": config('destination="/target" childOnly="true"'), "child/deep/a.txt": "a",
    "child/index.html": "index",
    "variables/web.config": config('destination="http://other.test$V$Q" exactDestination="true"'),
    "wild/web.config": config('destination="http://other.test/rest"',
                              '<add wildcard="*.php" destination="http://other.test/php" />'),
    "grows/web.config": config('destination="http://other.test' + "$V" * 10 + '" exactDestination="true"'),
    "off/web.config": config('destination="http://other.test/"').replace('"true"', '"false"', 1),
    "off/a.txt": "a",
}
CASES = [
    Case("found", "/found/a.txt", "302", win32=0, text=b"http://other.test/new/a.txt"),
    Case("missing file", "/found/none.txt", "302"),
    Case("permanent", "/permanent/x", "301"),
    Case("temporary", "/temporary/x", "307"),
    Case("temporary keeps the method", "/temporary/x", "307", method="POST", body=b"x"),
    Case("permanent, 308", "/perm308/x", "308"),
    Case("exact", "/exact/a/b", "302", has=(("Location", "http://other.test/one"),)),
    Case("disabled", "/off/a.txt", "200", text=b"a"),
    Case("hidden segment first", "/found/bin/x", "404.8"),
]


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers(files=FILES)


@pytest.fixture(scope="module")
def outcomes(server):
    return Outcomes(server, CASES)


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_case(outcomes, case):
    outcomes.judge(case)


def test_suffix_and_query_are_appended(server):
    assert server.get("/found/a/b.txt?q=1").get("Location") == "http://other.test/new/a/b.txt?q=1"


def test_variables(server):
    assert server.get("/variables/a/b?q=1").get("Location") == "http://other.test/variables/a/b?q=1"


def test_only_files_of_the_folder_itself(server):
    assert server.get("/child/none.txt").status == 302
    assert server.get("/child/deep/a.txt").status == 200


def test_wildcard_entry(server):
    assert server.get("/wild/x.php").get("Location", "").startswith("http://other.test/php")
    assert server.get("/wild/x.html").get("Location", "").startswith("http://other.test/rest")


def test_destination_that_grows_too_long(server):
    """The module fails the request when the Location would pass its limit."""
    target = "/grows/" + "/".join(["a" * 200] * 18)
    assert server.get(target).code == "500.0"
    assert server.w3c_for(target)["sc-status"] == "500"


def test_line_breaks_cannot_enter_the_answer(server):
    server.expect("URL")
    answer = server.get("/found/a%0d%0aX-Evil:%20yes", host="x")
    assert answer.get("X-Evil") is None
