"""Connections by the thousand that send nonsense, leave in the middle, or reset."""
import pathlib

import pytest

from harness import Site, attack

# What nonsense can be; other reasons would be a surprise.
NONSENSE = ["BadRequest", "Verb", "URL", "Header", "Hostname", "Number", "Version_N/S", "URL_Length", "FieldLength",
            "RequestLength", "Invalid_CR/LF", "Forbidden", "LengthRequired", "N/I", "Client_Reset",
            "Connection_Dropped"]


@pytest.mark.parametrize("binary", attack.binaries(), ids=attack.binary_name)
def test_garbage(servers, binary):
    """20,000 connections (long form: a million): the server lives, has its descriptors and its memory back,
    and other clients are served all the time."""
    server = servers.sites(Site(), files={"inetpub/wwwroot/a.txt": "a" * 1000}, binary=pathlib.Path(binary))
    server.tolerate(*NONSENSE)
    attack.warm_up(server)
    with attack.plain("garbage", server, 2000, 100) as flood:
        flood.numbers()                   # buffers have their working size
    growth = attack.Growth(server)
    count = attack.amount(20_000, 1_000_000)
    with attack.Meanwhile(server) as meanwhile, attack.plain("garbage", server, count, 200) as flood:
        over, answered, _ = flood.numbers()
    assert over == count and answered > count // 5
    meanwhile.check(longest=10)
    growth.check(8192)
    assert server.get("/a.txt").status == 200
