"""HTTP/2: what clients come to that flood, reset without end, or do not take what they asked for."""
import time

import pytest
from hyperframe import frame as frames

from harness import read_httperr, wait_until
from harness.http2 import CANCEL, ENHANCE_YOUR_CALM, GET, POST, PROTOCOL_ERROR, Raw, frame_bytes, raw_connections

FILES = {"index.html": "<p>home</p>", "big.bin": bytes(range(256)) * 4096, "small.txt": "x" * 1024}


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers(files=FILES, reg={"EnableHttp2Cleartext": 1})
    server.tolerate("BadRequest")         # most of what follows is one
    return server


@pytest.fixture
def raw(server):
    with raw_connections(server) as make:
        yield make


def flood(peer, piece, count=30000, step=200):
    """Sends the piece again and again; gives how often until the other side has had enough."""
    sent = 0
    try:
        while sent < count:
            peer.sock.sendall(piece * step)
            sent += step
    except OSError:
        pass
    return sent


@pytest.mark.parametrize("piece", [
    frames.PingFrame(0, opaque_data=b"12345678").serialize(),
    frames.SettingsFrame(0, settings={frames.SettingsFrame.MAX_CONCURRENT_STREAMS: 9}).serialize(),
    frames.WindowUpdateFrame(0, window_increment=1).serialize(),
    frames.PriorityFrame(3, depends_on=0, stream_weight=1).serialize(),
    frame_bytes(0x10, 0, 0, b"\0\0\0\1u=1"),
    frame_bytes(0x0a, 0, 0, b"\0\0"),
    frame_bytes(0x77, 0, 1, b"")],
    ids=["PING", "SETTINGS", "WINDOW_UPDATE", "PRIORITY", "PRIORITY_UPDATE", "ALTSVC", "unknown"])
def test_floods_end_the_connection(server, raw, piece):
    peer = raw().settled()
    assert flood(peer, piece) < 30000 or peer.until(lambda f: isinstance(f, frames.GoAwayFrame))
    # A client that does not read while it floods may lose the GOAWAY with the reset that its flood earns.
    try:
        peer.expect_goaway(ENHANCE_YOUR_CALM)
    except (AssertionError, OSError):
        assert peer.closed


def test_data_for_a_reset_stream_without_end(server, raw):
    """It is ignored for a while: a client may not know yet."""
    peer = raw()
    head = peer.head(fields=[(":method", "POST"), *GET[1:], ("te", "gzip")], flags=("END_HEADERS",))
    peer.send(head).expect_reset(code=PROTOCOL_ERROR)
    piece = frames.DataFrame(1, data=b"x" * 1000).serialize()
    peer.sock.sendall(piece * 800)
    peer.settled()
    assert flood(peer, piece) < 30000 or peer.until(lambda f: isinstance(f, frames.GoAwayFrame))


def test_many_uploads_that_are_refused_early(raw):
    """An honest client: what it sends until it has our reset is one window each, and no flood."""
    peer = raw().send(frames.WindowUpdateFrame(0, window_increment=1 << 24)).settled()
    for n in range(100):
        stream = 1 + 2 * n
        peer.send(peer.head(stream, POST, ("END_HEADERS",))).expect_answer(stream, "405")
        peer.until(lambda f: isinstance(f, frames.RstStreamFrame) and f.stream_id == stream)
        peer.send(*[frames.DataFrame(stream, data=b"x" * 15000)] * 4).settled()
    assert not any(isinstance(f, frames.GoAwayFrame) for f in peer.seen)


def test_rapid_reset(server, raw):
    peer = raw().settled()
    asked = 0
    try:
        while asked < 3000:
            batch = []
            for _ in range(20):
                batch += [peer.head(1 + 2 * asked), frames.RstStreamFrame(1 + 2 * asked, error_code=CANCEL)]
                asked += 1
            peer.send(*batch)
            peer.settled()
    except (AssertionError, OSError):
        pass
    goaway = [f for f in peer.seen if isinstance(f, frames.GoAwayFrame)]
    assert asked <= 460 and goaway and goaway[0].error_code == ENHANCE_YOUR_CALM, (asked, goaway)
    assert b"reset" in goaway[0].additional_data
    server.tolerate("Client_Reset", "Connection_Dropped")


@pytest.mark.parametrize("goaway", [1, 0])
def test_resets_are_counted_as_the_parameters_say(servers, goaway):
    server = servers(files=FILES, reg={"EnableHttp2Cleartext": 1, "Http2MaxClientResetsPerMinute": 5,
                                       "Http2MaxClientResetsGoaway": goaway})
    server.tolerate("BadRequest", "Client_Reset", "Connection_Dropped")
    peer = Raw(server.connect().sock).settled()
    for n in range(6):
        peer.send(peer.head(1 + 2 * n, fields=[*POST[:3], (":path", "/big.bin")], flags=("END_HEADERS",)),
                  frames.RstStreamFrame(1 + 2 * n, error_code=CANCEL))
        if n < 5:
            peer.settled()
    while peer.read_frame(time.monotonic() + 60) is not None:
        pass
    goaways = [f for f in peer.seen if isinstance(f, frames.GoAwayFrame)]
    assert [f.error_code for f in goaways] == ([ENHANCE_YOUR_CALM] if goaway else [])
    assert len(read_httperr(server.drive)) > 0 or wait_until(lambda: read_httperr(server.drive), "a line")


def test_a_decoded_head_without_end(server, raw):
    """One field of 4000 bytes, then its index, a byte each: 16 MB out of 16 KB."""
    peer = raw().settled()
    block = peer.encoder.encode([*GET, ("x-long", "v" * 3900)])
    peer.bytes(frame_bytes(1, 1, 1, block))
    peer.bytes(frame_bytes(9, 4, 1, b"\xbe" * 12000)).expect_goaway(ENHANCE_YOUR_CALM)


def test_continuations_without_end(server, raw):
    peer = raw().settled()
    peer.send(peer.head(flags=()))
    flood(peer, frame_bytes(9, 0, 1, b""), count=2000, step=50)
    try:
        peer.expect_goaway(ENHANCE_YOUR_CALM)
    except (AssertionError, OSError):
        assert peer.closed


def test_a_client_that_reads_nothing_is_not_read_either(servers):
    """Requests for big files by someone who takes no answer: memory and time are bounded, the line is written."""
    server = servers.sites(files={"inetpub/wwwroot/big.bin": FILES["big.bin"] * 4}, reg={"EnableHttp2Cleartext": 1},
                           web_limits='minBytesPerSecond="1000000" connectionTimeout="00:00:02"')
    server.tolerate("Timer_MinBytesPerSecond", "Connection_Dropped", "BadRequest", "Client_Reset")
    conn = server.connect(receive_buffer=4096)
    peer = Raw(conn.sock, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0x7fffffff})
    peer.send(frames.WindowUpdateFrame(0, window_increment=0x7fff0000 - 65535))
    for i in range(50):
        peer.send(peer.head(1 + 2 * i, fields=[*GET[:3], (":path", "/big.bin")]))
    wait_until(lambda: any(r["s-reason"] == "Timer_MinBytesPerSecond" for r in read_httperr(server.drive)),
               "a line for the slow reader", limit=60)


def test_tiny_windows_do_not_hold_a_stream_for_ever(servers):
    server = servers.sites(files={"inetpub/wwwroot/big.bin": FILES["big.bin"]}, reg={"EnableHttp2Cleartext": 1},
                           web_limits='minBytesPerSecond="2000000"')
    server.expect("Timer_MinBytesPerSecond")
    peer = Raw(server.connect().sock, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 1})
    peer.send(peer.head(fields=[*GET[:3], (":path", "/big.bin")])).expect_answer()
    frame = peer.until(lambda f: isinstance(f, frames.RstStreamFrame), limit=20)
    assert frame.stream_id == 1
    peer.send(peer.head(3, fields=[*GET[:3], (":path", "/nope")])).expect_answer(3, "404")
