"""serverRuntime: limits that IIS Web Core keeps itself."""

from harness import Site


def test_body_over_max_request_entity_allowed(servers):
    server = servers.sites(Site(), web_server='<serverRuntime maxRequestEntityAllowed="10" />',
                           files={"inetpub/wwwroot/a.txt": "a"})
    assert server.request("POST", "/a.txt", body=b"0123456789").status == 405
    assert server.request("POST", "/a.txt", body=b"0123456789a").code == "413.0"
    assert server.get("/a.txt").status == 200
