"""serverRuntime: limits that IIS Web Core keeps itself. And the switch for TRACE in the registry."""

from harness import Site


def test_body_over_max_request_entity_allowed(servers):
    server = servers.sites(Site(), web_server='<serverRuntime maxRequestEntityAllowed="10" />',
                           files={"inetpub/wwwroot/a.txt": "a"})
    assert server.request("POST", "/a.txt", body=b"0123456789").status == 405
    assert server.request("POST", "/a.txt", body=b"0123456789a").code == "413.0"
    assert server.get("/a.txt").status == 200


def test_trace_is_switched_on_by_the_registry(servers):
    reg = ("Windows Registry Editor Version 5.00\r\n\r\n"
           "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W3SVC\\Parameters]\r\n"
           "\"EnableTraceMethod\"=dword:00000001\r\n")
    server = servers.sites(Site(), reg=reg.encode("utf-16"))
    reply = server.request("TRACE", "/x")
    assert reply.status == 200
    assert reply.body.startswith(b"TRACE /x HTTP/1.1")
