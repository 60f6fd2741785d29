"""RequestFilteringModule: every refusal from 404.5 to 404.19 by its own setting, and what stays allowed."""
import pytest

from harness import Case, Outcomes, Site, transport


def config(inner, attributes=""):
    return (f"<configuration><system.webServer><security><requestFiltering {attributes}>{inner}"
            "</requestFiltering></security></system.webServer></configuration>")


def folder(name, inner, attributes=""):
    return {f"{name}/web.config": config(inner, attributes), f"{name}/a.txt": "a", f"{name}/b.html": "b",
            f"{name}/a..b.txt": "dots", f"{name}/noext": "x", f"{name}/plus+.txt": "plus"}


FILES = {"a.txt": "a", "bin/x.txt": "secret", "code.cs": "secret", "bindings/x.txt": "fine", "x.config": "secret"}
for _name, _inner, _attributes in [
    ("sequence", '<denyUrlSequences><add sequence=".." /><add sequence="%3B" /></denyUrlSequences>', ""),
    ("always", '<denyUrlSequences><add sequence="a.t" /></denyUrlSequences>'
               '<alwaysAllowedUrls><add url="/always/a.txt" /></alwaysAllowedUrls>', ""),
    ("verb", '<verbs><add verb="POST" allowed="false" /><add verb="FOO" allowed="false" /></verbs>', ""),
    ("onlyget", '<verbs allowUnlisted="false"><add verb="GET" allowed="true" /></verbs>', ""),
    ("extension", '<fileExtensions><add fileExtension=".html" allowed="false" /></fileExtensions>', ""),
    ("onlytext", '<fileExtensions allowUnlisted="false"><add fileExtension=".txt" allowed="true" />'
                 "</fileExtensions>", ""),
    ("segment", '<hiddenSegments><add segment="private" /><remove segment="bin" /></hiddenSegments>', ""),
    ("header", '<requestLimits><headerLimits><add header="X-Test" sizeLimit="10" /></headerLimits>'
               "</requestLimits>", ""),
    ("double", "", 'allowDoubleEscaping="true"'),
    ("highbit", "", 'allowHighBitCharacters="false"'),
    ("length", '<requestLimits maxAllowedContentLength="10" />', ""),
    ("url", '<requestLimits maxUrl="20" />', ""),
    ("query", '<requestLimits maxQueryString="20" />', ""),
    ("querysequence", '<denyQueryStringSequences><add sequence="bad" /></denyQueryStringSequences>'
                      '<alwaysAllowedQueryStrings><add queryString="q=bad" /></alwaysAllowedQueryStrings>', ""),
    ("rawquery", '<denyQueryStringSequences><add sequence="bad" /></denyQueryStringSequences>',
     'unescapeQueryString="false"'),
    ("rulequery", '<filteringRules><filteringRule name="sql" scanQueryString="true"><denyStrings>'
                  '<add string="select" /></denyStrings></filteringRule></filteringRules>', ""),
    ("ruleurl", '<filteringRules><filteringRule name="u" scanUrl="true"><appliesTo>'
                '<add fileExtension=".txt" /></appliesTo><denyStrings><add string="evil" /></denyStrings>'
                "</filteringRule></filteringRules>", ""),
    ("ruleheader", '<filteringRules><filteringRule name="h" scanUrl="false"><scanHeaders>'
                   '<add requestHeader="User-Agent" /></scanHeaders><denyStrings><add string="badbot" />'
                   "</denyStrings></filteringRule></filteringRules>", ""),
    ("noserver", "", 'removeServerHeader="true"'),
    ("modern", '<requestLimits maxAllowedContentLength="10"><headerLimits><add header="X-Test" sizeLimit="10" />'
               "</headerLimits></requestLimits>", 'requestFilteringModernCodes="true"'),
]:
    FILES.update(folder(_name, _inner, _attributes))
FILES["segment/private/x.txt"] = "secret"
FILES["segment/bin/x.txt"] = "shown"

CASES = [
    # 404.5
    Case("sequence", "/sequence/a..b.txt", "404.5", win32=0),
    Case("escaped sequence entry", "/sequence/a%3Bb", "404.5"),
    Case("sequence absent", "/sequence/a.txt", "200"),
    Case("always allowed url", "/always/a.txt", "200"),
    Case("not the allowed url", "/always/a.txtx", "404.5"),
    # 404.6
    Case("verb denied", "/verb/a.txt", "404.6", method="POST", body=b""),
    Case("verb not denied", "/verb/a.txt", "200"),
    Case("verb is case-sensitive", "/verb/a.txt", "405.0", method="foo"),
    Case("unknown verb denied", "/verb/a.txt", "404.6", method="FOO"),
    Case("verb unlisted", "/onlyget/a.txt", "404.6", method="HEAD"),
    Case("verb listed", "/onlyget/a.txt", "200"),
    # 404.7
    Case("extension denied", "/extension/b.html", "404.7"),
    Case("extension denied, other case", "/extension/b.HTML", "404.7"),
    Case("extension denied, missing file", "/extension/none.html", "404.7"),
    Case("extension not denied", "/extension/a.txt", "200"),
    Case("extension unlisted", "/onlytext/b.html", "404.7"),
    Case("extension listed", "/onlytext/a.txt", "200"),
    Case("source code by default", "/code.cs", "404.7"),
    Case("configuration by default", "/x.config", "404.7"),
    # 404.8
    Case("hidden by default", "/bin/x.txt", "404.8"),
    Case("hidden, other case", "/BIN/x.txt", "404.8"),
    Case("hidden before extension", "/web.config", "404.8"),
    Case("hidden, nothing there", "/x/bin/y", "404.8"),
    Case("part of a segment is not hidden", "/bindings/x.txt", "200"),
    Case("hidden by web.config", "/segment/private/x.txt", "404.8"),
    Case("removed from the list", "/segment/bin/x.txt", "200"),
    # 404.10
    Case("header too long", "/header/a.txt", "404.10", headers={"X-Test": "12345678901"}),
    Case("header long enough", "/header/a.txt", "200", headers={"X-Test": "1234567890"}),
    # 404.11
    Case("double escape", "/a%252etxt", "404.11"),
    Case("plus in the path", "/sequence/plus+.txt", "404.11"),
    Case("double escape allowed", "/double/plus+.txt", "200"),
    # 404.12
    Case("high bit", "/highbit/%C3%A9.txt", "404.12"),
    Case("no high bit", "/highbit/a.txt", "200"),
    # 404.13
    Case("length", "/length/a.txt", "404.13", method="POST", body=b"12345678901"),
    Case("length not passed", "/length/a.txt", "405.0", method="POST", body=b"1234567890"),
    # what newer builds answer instead
    Case("length, newer", "/modern/a.txt", "413.1", method="POST", body=b"12345678901"),
    Case("header, newer", "/modern/a.txt", "431.0", headers={"X-Test": "12345678901"}),
    # 404.14 - the log tag is in the query, which does not count
    Case("url too long", "/url/12345678901234567890", "404.14"),
    Case("url long enough", "/url/a.txt", "200"),
    # 404.15
    Case("query too long", "/query/a.txt?abcdefghijklmnop", "404.15"),
    Case("query long enough", "/query/a.txt?abcdef", "200"),
    # 404.18
    Case("query sequence", "/querysequence/a.txt?x=bad", "404.18"),
    Case("query sequence, other case", "/querysequence/a.txt?x=BAD", "404.18"),
    Case("query sequence escaped", "/querysequence/a.txt?x=%62ad", "404.18"),
    Case("query sequence escaped, raw scan only", "/rawquery/a.txt?x=%62ad", "200"),
    Case("always allowed query", "/querysequence/a.txt?q=bad", "200", logged=False),
    # 404.19
    Case("rule on the query", "/rulequery/a.txt?x=SELECT", "404.19"),
    Case("rule on the query, escaped", "/rulequery/a.txt?x=%73elect", "404.19"),
    Case("rule on the query, nothing found", "/rulequery/a.txt?x=1", "200"),
    Case("rule on the url", "/ruleurl/evil.txt", "404.19"),
    Case("rule for other extensions", "/ruleurl/evil.bin", "404.0"),
    Case("rule on a header", "/ruleheader/a.txt", "404.19", headers={"User-Agent": "a BadBot/1.0"}),
    Case("rule on a header, other header", "/ruleheader/a.txt", "200", headers={"Referer": "badbot"}),
    # the order inside the module
    Case("double escape before verb", "/verb/a%252e", "404.11", method="POST", body=b""),
    Case("length before query", "/length/a.txt?x=1", "404.13", method="POST", body=b"x" * 20),
    Case("verb before hidden segment", "/verb/bin/x", "404.6", method="POST", body=b""),
    Case("hidden segment before extension", "/extension/bin/b.html", "404.8"),
]


@pytest.fixture(scope="module")
def server(module_servers):
    return module_servers(files=FILES)


@pytest.fixture(scope="module", params=transport.TRANSPORTS)
def outcomes(request, server, module_servers):
    """The same table over every version of HTTP and with TLS."""
    if request.param != transport.PLAIN:
        server = module_servers(files=FILES, **transport.options(request.param))
    return Outcomes(server, CASES, request.param)


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_case(outcomes, case):
    answer = outcomes.judge(case)
    assert b"secret" not in answer.body


def test_server_header_removed(server):
    assert server.get("/noserver/a.txt").get("Server") is None


def test_default_limits(server):
    assert server.get("/" + "/".join("a" * 250 for _ in range(17))).code == "404.14"
    assert server.get("/a.txt?" + "q" * 2049).code == "404.15"
    assert server.get("/a.txt?" + "q" * 2048).status == 200


def test_chunked_body_counts(server):
    with server.connect() as conn:
        conn.send(b"POST /length/a.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n")
        assert conn.read().code in ("404.13", "405.0")


def test_rules_of_the_server_reach_every_site(servers):
    server = servers.sites(Site(), Site(name="b", id=2, folder="b"),
                           filtering='<denyUrlSequences><add sequence="evil" /></denyUrlSequences>',
                           files={"b/a.txt": "b", "inetpub/wwwroot/a.txt": "a"})
    for site in ("Default Web Site", "b"):
        assert server.get("/evil.txt", site=site).code == "404.5"
        assert server.get("/a.txt", site=site).status == 200


def test_too_many_segments(servers):
    server = servers.sites(Site(inner='<limits maxUrlSegments="4" />'),
                           files={"inetpub/wwwroot/a/b/c/d.txt": "four"})
    assert server.get("/a/b/c/d.txt").status == 200
    assert server.get("/a/b/c/d/e.txt").code == "404.20"
    assert server.w3c_for("/a/b/c/d/e.txt")["sc-substatus"] == "20"
