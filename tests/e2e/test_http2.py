"""HTTP/2: the rules of RFC 9113 frame by frame, the listener's own answers, clients.

Sections in the names are RFC 9113's. Where a rule allows a stream error or a connection error, so do the tests.
"""
import concurrent.futures
import shutil
import subprocess
import time

import pytest
from hyperframe import frame as frames

import test_httperr
from harness import Site, read_w3c, transport, wait_until
from harness.listener_answers import own_body
from harness.http2 import (CANCEL, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, NO_ERROR, POST,
                           PREFACE, PROTOCOL_ERROR, STREAM_CLOSED, Client, Raw, frame_bytes, raw_connections,
                           wrap_tls)

FILES = {"index.html": "<p>home</p>", "big.bin": bytes(range(256)) * 4096, "small.txt": "x" * 1024}


@pytest.fixture(scope="module")
def server(module_servers):
    server = module_servers(files=FILES, reg={"EnableHttp2Cleartext": 1})
    server.tolerate("BadRequest")         # most of what follows is one
    server.tolerate("Client_Reset", "Connection_Dropped")     # requests end with their streams or connections
    return server


@pytest.fixture
def raw(server):
    with raw_connections(server) as make:
        yield make


# --- 3.4: the beginning ---

def test_3_4_settings_come_first(raw):
    peer = raw()
    first = peer.until(lambda f: True)
    assert isinstance(first, frames.SettingsFrame) and "ACK" not in first.flags
    assert first.settings[frames.SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    peer.until(lambda f: isinstance(f, frames.SettingsFrame) and "ACK" in f.flags)


def test_3_4_a_broken_preface_behind_its_first_line(server):
    """With the first line right and the rest wrong it is HTTP/1 that has to say no."""
    assert server.raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    server.tolerate("Version_N/S")


def test_without_the_parameter_it_is_not_spoken(servers):
    server = servers(files=FILES)
    assert server.raw(PREFACE).startswith(b"HTTP/1.1 505 ")
    server.expect("Version_N/S")


# --- 4: frames ---

def test_4_1_unknown_types_are_ignored(raw):
    peer = raw().bytes(frame_bytes(0x77, 0xff, 0, b"12345678"))
    peer.bytes(frame_bytes(0x66, 0, 1, b"")).send(peer.head()).expect_answer()


def test_4_1_undefined_flags_and_the_reserved_bit_are_ignored(raw):
    peer = raw().bytes(frame_bytes(frames.PingFrame.type, 0x16, 0x80000000, b"12345678"))
    peer.until(lambda f: isinstance(f, frames.PingFrame) and "ACK" in f.flags)


def test_4_2_a_frame_of_the_largest_size(raw):
    peer = raw()
    peer.send(peer.head(fields=POST, flags=("END_HEADERS",)))
    peer.send(frames.DataFrame(1, data=b"x" * 16384, flags=["END_STREAM"])).expect_answer(status="405")


@pytest.mark.parametrize("kind,stream", [(0, 1), (1, 1), (4, 0), (6, 0), (0x77, 1)])
def test_4_2_a_frame_that_is_too_large(raw, kind, stream):
    peer = raw()
    first = peer.head(fields=POST, flags=("END_HEADERS",)) if kind == 0 else frames.PingFrame(0)
    peer.bytes(first.serialize() + frame_bytes(kind, 4 if kind == 1 else 0, stream, b"x" * 16385))
    peer.expect_reset(code=FRAME_SIZE_ERROR)


def test_4_3_a_header_block_that_cannot_be_decoded(raw):
    raw().bytes(frame_bytes(1, 5, 1, b"\xff\xff\xff\xff\xff")).expect_goaway(COMPRESSION_ERROR)


@pytest.mark.parametrize("other", ["data", "ping", "priority", "head of another stream", "unknown"])
def test_4_3_nothing_may_stand_inside_a_header_block(raw, other):
    peer = raw()
    peer.send(peer.head(flags=("END_STREAM",)))
    inside = {"data": frames.DataFrame(1, data=b"x"), "ping": frames.PingFrame(0),
              "priority": frames.PriorityFrame(1), "head of another stream": peer.head(3)}
    peer.bytes(inside[other].serialize() if other in inside else frame_bytes(0x77, 0, 1, b""))
    peer.expect_goaway(PROTOCOL_ERROR)


# --- 5: streams ---

@pytest.mark.parametrize("frame", [frames.DataFrame(1, data=b"x"), frames.RstStreamFrame(1),
                                   frames.WindowUpdateFrame(1, window_increment=9)],
                         ids=["DATA", "RST_STREAM", "WINDOW_UPDATE"])
def test_5_1_idle_streams_take_nothing_else(raw, frame):
    raw().send(frame).expect_goaway(PROTOCOL_ERROR)


def test_5_1_continuation_of_nothing(raw):
    raw().send(frames.ContinuationFrame(1, data=b"\x82", flags=["END_HEADERS"])).expect_goaway(PROTOCOL_ERROR)


@pytest.mark.parametrize("what", ["data", "head"])
def test_5_1_half_closed_streams_bring_no_more(raw, what):
    """In one write: the answer cannot close the stream in between."""
    peer = raw()
    first = peer.head()
    second = frames.DataFrame(1, data=b"x") if what == "data" else peer.head()
    peer.send(first, second)
    peer.expect_reset(code=STREAM_CLOSED)


def on_closed(peer, what):
    return {"data": frames.DataFrame(1, data=b"x"), "empty": frames.DataFrame(1, data=b"")}.get(what) or peer.head()


@pytest.mark.parametrize("what", ["data", "empty", "head"])
@pytest.mark.parametrize("closed_by", ["both", "client"])
def test_5_1_closed_streams_stay_closed(raw, what, closed_by):
    peer = raw()
    if closed_by == "both":
        peer.send(peer.head()).expect_answer()
        peer.until(lambda f: "END_STREAM" in f.flags)
    else:
        peer.send(peer.head(fields=POST, flags=("END_HEADERS",)), frames.RstStreamFrame(1, error_code=CANCEL))
    peer.settled()
    peer.send(on_closed(peer, what)).expect_goaway(STREAM_CLOSED)


@pytest.mark.parametrize("what", ["data", "empty", "head"])
@pytest.mark.parametrize("at_once", [True, False])
def test_5_1_what_was_sent_before_our_reset_arrived_is_ignored(raw, what, at_once):
    peer = raw()
    head = peer.head(fields=[(":method", "POST"), *GET[1:], ("te", "gzip")], flags=("END_HEADERS",))
    if at_once:
        peer.send(head, on_closed(peer, what)).expect_reset(code=PROTOCOL_ERROR)
    else:
        peer.send(head).expect_reset(code=PROTOCOL_ERROR)
        peer.send(on_closed(peer, what))
    peer.settled()
    peer.send(peer.head(3)).expect_answer(3)


def test_5_1_more_data_on_a_closed_stream_is_ignored(raw):
    """nghttp2 does not tell it from the long frame of the next test."""
    peer = raw()
    peer.send(peer.head()).expect_answer()
    peer.until(lambda f: "END_STREAM" in f.flags)
    peer.send(frames.DataFrame(1, data=b"x" * 1000)).settled()
    peer.send(peer.head(3)).expect_answer(3)


@pytest.mark.parametrize("cut", [0, 3, 8, 9, 20, 41, 45])
def test_a_long_priority_update_is_harmless(server, raw, cut):
    """Also if it comes in two pieces."""
    peer = raw().settled()
    update = frame_bytes(0x10, 0, 0, b"\0\0\0\1" + b"u=1, i, something=" + b"1" * 40)
    peer.bytes(update[:cut])
    server.wait_read(server.conns[-1])
    peer.bytes(update[cut:])
    peer.settled()
    peer.send(peer.head()).expect_answer()


def test_5_1_refused_streams_may_bring_their_bodies(raw):
    peer = raw().settled()
    heads = [peer.head(1 + 2 * i, POST, ("END_HEADERS",)) for i in range(101)]
    peer.send(*heads, frames.DataFrame(201, data=b"x" * 9)).expect_reset(201)
    peer.send(frames.DataFrame(201, data=b"y" * 9, flags=["END_STREAM"])).settled()
    assert not any(isinstance(f, frames.GoAwayFrame) for f in peer.seen)


def test_5_1_window_updates_of_closed_streams_are_harmless(raw):
    peer = raw()
    peer.send(peer.head()).expect_answer()
    peer.until(lambda f: "END_STREAM" in f.flags)
    peer.send(frames.WindowUpdateFrame(1, window_increment=9), frames.RstStreamFrame(1)).settled()


@pytest.mark.parametrize("stream", [2, 0])
def test_5_1_1_clients_have_odd_numbers(raw, stream):
    peer = raw()
    block = peer.encoder.encode(GET)
    peer.bytes(frame_bytes(1, 5, stream, block)).expect_goaway(PROTOCOL_ERROR)


def test_5_1_1_numbers_only_grow(raw):
    """A lower number is one of a stream that has been skipped, so it is closed."""
    peer = raw()
    peer.send(peer.head(5)).expect_answer(5)
    peer.send(peer.head(3)).expect_goaway(STREAM_CLOSED)
    assert not any(isinstance(f, frames.HeadersFrame) and f.stream_id == 3 for f in peer.seen)


def test_5_1_2_more_streams_than_allowed(raw):
    peer = raw().settled()
    heads = [peer.head(1 + 2 * i, POST, ("END_HEADERS",)) for i in range(101)]
    peer.send(*heads)
    peer.expect_reset(201)


def test_5_1_2_streams_that_have_ended_do_not_count(raw):
    peer = raw().settled()
    for i in range(250):
        peer.send(peer.head(1 + 2 * i, [*GET, ("x-n", str(i))]))
        if i % 50 == 49:
            peer.expect_answer(1 + 2 * i)
    peer.expect_answer(499)


@pytest.mark.parametrize("frame", [frames.PriorityFrame(1, depends_on=1),
                                   frames.PriorityFrame(3, depends_on=0, stream_weight=9, exclusive=True)],
                         ids=["on itself", "of an idle stream"])
def test_5_3_old_priorities_change_nothing(raw, frame):
    peer = raw().send(frame)
    peer.send(peer.head(5))
    got = peer.until(lambda f: isinstance(f, (frames.HeadersFrame, frames.GoAwayFrame)))
    if frame.depends_on == 0:
        assert isinstance(got, frames.HeadersFrame)


def test_5_4_1_after_a_goaway_the_connection_ends(raw):
    frame = raw().bytes(frame_bytes(6, 0, 0, b"123")).expect_goaway(FRAME_SIZE_ERROR)
    assert frame.last_stream_id == 0


# --- 6: each frame ---

def test_6_1_data_has_a_stream(raw):
    raw().bytes(frame_bytes(0, 0, 0, b"x")).expect_goaway(PROTOCOL_ERROR)


def test_6_1_padding_longer_than_the_frame(raw):
    peer = raw()
    head = peer.head(fields=POST, flags=("END_HEADERS",))
    peer.bytes(head.serialize() + frame_bytes(0, 8, 1, b"\x09abc")).expect_goaway(PROTOCOL_ERROR)


def test_6_1_padding_counts_for_the_window_and_is_dropped(raw):
    peer = raw()
    peer.send(peer.head(fields=POST, flags=("END_HEADERS",)))
    for _ in range(300):
        peer.send(frames.DataFrame(1, data=b"x", pad_length=255, flags=["PADDED"]))
    peer.send(frames.DataFrame(1, data=b"", flags=["END_STREAM"])).expect_answer(status="405")


def test_6_2_padding_longer_than_the_head(raw):
    raw().bytes(frame_bytes(1, 0x0d, 1, b"\x20\x82")).expect_goaway(PROTOCOL_ERROR)


def test_6_2_a_head_with_priority_and_padding(raw):
    peer = raw()
    peer.send(peer.head(flags=("END_HEADERS", "END_STREAM", "PADDED", "PRIORITY"), pad_length=9, depends_on=0,
                        stream_weight=3)).expect_answer()


def test_6_3_priority_of_the_wrong_size(raw):
    raw().bytes(frame_bytes(2, 0, 1, b"\0\0\0\1")).expect_reset(1, FRAME_SIZE_ERROR)


@pytest.mark.parametrize("stream,payload,code", [(0, b"\0\0\0\1", PROTOCOL_ERROR), (1, b"\0\0\1", FRAME_SIZE_ERROR)])
def test_6_4_rst_stream(raw, stream, payload, code):
    peer = raw()
    head = peer.head(fields=POST, flags=("END_HEADERS",))
    peer.bytes(head.serialize() + frame_bytes(3, 0, stream, payload)).expect_goaway(code)


@pytest.mark.parametrize("flags,stream,payload,code", [
    (1, 0, b"\0\3\0\0\0\1", FRAME_SIZE_ERROR), (0, 1, b"\0\3\0\0\0\1", PROTOCOL_ERROR),
    (0, 0, b"\0\3\0", FRAME_SIZE_ERROR), (0, 0, b"\0\2\0\0\0\2", PROTOCOL_ERROR),
    (0, 0, b"\0\4\x80\0\0\0", FLOW_CONTROL_ERROR), (0, 0, b"\0\5\0\0\x3f\xff", PROTOCOL_ERROR),
    (0, 0, b"\0\5\1\0\0\0", PROTOCOL_ERROR)],
    ids=["ACK with payload", "with a stream", "odd length", "ENABLE_PUSH 2", "window too large", "frame too small",
         "frame too large"])
def test_6_5_settings(raw, flags, stream, payload, code):
    raw().bytes(frame_bytes(4, flags, stream, payload)).expect_goaway(code)


def test_6_5_2_unknown_settings_are_ignored_and_acknowledged(raw):
    peer = raw()
    peer.until(lambda f: isinstance(f, frames.SettingsFrame) and "ACK" in f.flags)
    peer.bytes(frame_bytes(4, 0, 0, b"\x7f\xff\0\0\0\1"))
    wait_until(lambda: peer.settled() and sum(isinstance(f, frames.SettingsFrame) and "ACK" in f.flags
                                              for f in peer.seen) == 2, "the second ACK")


def test_6_5_2_a_smaller_header_table_is_obeyed(raw):
    peer = raw(settings={frames.SettingsFrame.HEADER_TABLE_SIZE: 0})
    peer.decoder.max_allowed_table_size = 0
    for stream in (1, 3, 5):
        peer.send(peer.head(stream)).expect_answer(stream)
    assert len(peer.decoder.header_table.dynamic_entries) == 0


def test_6_6_clients_do_not_push(raw):
    raw().bytes(frame_bytes(5, 4, 1, b"\0\0\0\2\x82")).expect_goaway(PROTOCOL_ERROR)


@pytest.mark.parametrize("stream,payload,code", [(1, b"12345678", PROTOCOL_ERROR), (0, b"1234567", FRAME_SIZE_ERROR)])
def test_6_7_ping(raw, stream, payload, code):
    raw().bytes(frame_bytes(6, 0, stream, payload)).expect_goaway(code)


def test_6_7_acknowledged_pings_are_not_answered(raw):
    peer = raw().bytes(frame_bytes(6, 1, 0, b"12345678")).settled()
    assert not any(isinstance(f, frames.PingFrame) and f.opaque_data == b"12345678" for f in peer.seen)


def test_6_8_goaway_with_a_stream(raw):
    raw().bytes(frame_bytes(7, 0, 1, bytes(8))).expect_goaway(PROTOCOL_ERROR)


def test_6_8_a_client_that_says_goodbye_gets_what_it_has_asked_for(raw):
    peer = raw()
    peer.send(peer.head(), frames.GoAwayFrame(0)).expect_answer()
    while peer.read_frame(time.monotonic() + 60) is not None:
        pass


@pytest.mark.parametrize("stream,payload,code", [
    (0, b"\0\0\0\0", PROTOCOL_ERROR), (1, b"\0\0\0\0", PROTOCOL_ERROR), (0, b"\0\0\0", FRAME_SIZE_ERROR)])
def test_6_9_window_update(raw, stream, payload, code):
    peer = raw()
    head = peer.head(fields=POST, flags=("END_HEADERS",))     # in one write: no answer comes in between
    peer.bytes(head.serialize() + frame_bytes(8, 0, stream, payload)).expect_reset(code=code)


def test_6_9_1_answers_stay_within_the_window(raw):
    peer = raw(settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 1})
    peer.send(peer.head(fields=[*GET[:3], (":path", "/small.txt")])).expect_answer()
    got = 0
    for size in (1, 9, 990, 24):
        data = peer.until(lambda f: isinstance(f, frames.DataFrame) and f not in done)  # noqa: B023
        done.append(data)
        got += len(data.data)
        assert len(data.data) == size
        peer.send(frames.WindowUpdateFrame(1, window_increment={1: 9, 9: 990, 990: 10000, 24: 1}[size]))
    assert got == 1024 and "END_STREAM" in data.flags
    done.clear()


done = []


@pytest.mark.parametrize("stream", [0, 1])
def test_6_9_1_a_window_beyond_31_bits(raw, stream):
    peer = raw()
    peer.send(peer.head(fields=POST, flags=("END_HEADERS",)),
              *[frames.WindowUpdateFrame(stream, window_increment=0x7fffffff)] * 2)
    peer.expect_reset(code=FLOW_CONTROL_ERROR)


def test_6_9_2_a_smaller_initial_window_may_make_windows_negative(raw):
    peer = raw(settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 100})
    peer.send(peer.head(fields=[*GET[:3], (":path", "/small.txt")])).expect_answer()
    first = peer.until(lambda f: isinstance(f, frames.DataFrame))
    assert len(first.data) == 100
    peer.send(frames.SettingsFrame(0, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 50}),
              frames.WindowUpdateFrame(1, window_increment=50)).settled().settled()
    assert sum(len(f.data) for f in peer.seen if isinstance(f, frames.DataFrame)) == 100
    peer.send(frames.WindowUpdateFrame(1, window_increment=10))
    assert len(peer.until(lambda f: isinstance(f, frames.DataFrame) and f is not first).data) == 10
    peer.send(frames.WindowUpdateFrame(1, window_increment=10000))
    peer.until(lambda f: "END_STREAM" in f.flags)


def test_6_9_a_client_that_overruns_our_window(raw):
    peer = raw()
    peer.send(peer.head(fields=[*POST[:3], (":path", "/nothing/takes/it")], flags=("END_HEADERS",)))
    peer.bytes(b"".join(frames.DataFrame(1, data=b"x" * 16384).serialize() for _ in range(80)))
    # An early answer lets go of the stream; what overruns the connection's window is an error anyway.
    peer.until(lambda f: isinstance(f, (frames.RstStreamFrame, frames.GoAwayFrame)))


def test_6_10_heads_may_come_in_pieces(raw):
    peer = raw()
    block = peer.encoder.encode(GET)
    peer.send(frames.HeadersFrame(1, block[:1], flags=["END_STREAM"]))
    for at in range(1, len(block)):
        last = at == len(block) - 1
        if at < 6 or last:
            piece = block[at:at + 1] if not last else block[6:]
            peer.send(frames.ContinuationFrame(1, piece, flags=["END_HEADERS"] if last else []))
    peer.expect_answer()


def test_6_10_continuation_of_another_stream(raw):
    peer = raw()
    peer.send(peer.head(flags=("END_STREAM",)), frames.ContinuationFrame(3, b"\x82", flags=["END_HEADERS"]))
    peer.expect_goaway(PROTOCOL_ERROR)


# --- 8: requests ---

MALFORMED = {
    "upper case": [*GET, ("X-Upper", "1")], "unknown pseudo-header": [*GET, (":x", "1")],
    "pseudo-header of answers": [*GET, (":status", "200")], "no method": GET[1:], "no path": GET[:3],
    "no scheme": [GET[0], *GET[2:]], "empty path": [*GET[:3], (":path", "")], "path twice": [*GET, GET[3]],
    "pseudo-header behind fields": [("x", "1"), *GET], "connection": [*GET, ("connection", "close")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")], "te": [*GET, ("te", "gzip")],
    "keep-alive": [*GET, ("keep-alive", "1")], "upgrade": [*GET, ("upgrade", "h2c")],
    "proxy-connection": [*GET, ("proxy-connection", "x")], "a length without a body": [*GET, ("content-length", "1")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_8_1_1_malformed_requests_are_not_answered(raw, name):
    peer = raw()
    peer.send(peer.head(fields=MALFORMED[name])).expect_reset(code=PROTOCOL_ERROR)
    peer.send(peer.head(3)).expect_answer(3)              # it is the stream's affair


@pytest.mark.parametrize("sent,length", [(5, 6), (6, 5)])
def test_8_1_1_lengths_must_be_true(raw, sent, length):
    peer = raw()
    peer.send(peer.head(fields=[*POST, ("content-length", str(length))], flags=("END_HEADERS",)))
    peer.send(frames.DataFrame(1, data=b"x" * sent, flags=["END_STREAM"]))
    frame = peer.until(lambda f: f.stream_id == 1 or isinstance(f, frames.GoAwayFrame))
    if isinstance(frame, frames.RstStreamFrame):          # unless 405 was quicker
        assert frame.error_code == PROTOCOL_ERROR
    else:
        assert frame.fields[0] == (":status", "405")


def test_8_1_trailers_must_end_the_stream(raw):
    peer = raw()
    peer.send(peer.head(fields=POST, flags=("END_HEADERS",)), frames.DataFrame(1, data=b"x"),
              peer.head(fields=[("x-trailer", "1")], flags=("END_HEADERS",)))
    frame = peer.until(lambda f: f.stream_id == 1)
    assert isinstance(frame, frames.HeadersFrame) or frame.error_code == PROTOCOL_ERROR


def test_8_2_3_cookies_may_come_in_crumbs(server):
    conn = transport.connect(server, transport.HTTP2)
    stream = conn.http2.ask(target="/index.html?crumbs", headers=[("cookie", "a=1"), ("cookie", "b=2")])
    assert conn.http2.read(stream).status == 200


# --- what the listener answers by itself: HTTP/1's table ---

# HTTP/2 says these otherwise: another reason, or none because there is nothing wrong any more.
OTHERWISE = {"blank in target": "URL", "Host twice": None, "POST without length": None, "PUT without length": None,
             "Transfer-Encoding and length on 1.0": None}
HTTP1_ONLY = {"Hostname"}                 # ... with raw lines that are no fields


def as_fields(data):
    """A request of HTTP/1 as fields; None if it is none that HTTP/2 could say."""
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if rest or len(words) < 3 or words[-1] != "HTTP/1.1" or "\r" in lines[0] or "\n" in lines[0]:
        return None
    fields = [(":method", words[0]), (":scheme", "http"), (":path", " ".join(words[1:-1]))]
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or "\n" in line or name.lower() in ("transfer-encoding", "connection", "expect"):
            return None
        value = value.strip(" \t")
        if name.lower() == "host" and not any(n == ":authority" for n, _ in fields):
            fields.append((":authority", value))
        else:
            fields.append((name.lower(), value))
    return fields


OWN = [(name, as_fields(data), OTHERWISE.get(name, reason)) for name, data, reason, *_ in test_httperr.ROWS
       if as_fields(data) is not None]


@pytest.fixture(scope="module")
def named(module_servers):
    """The server of the HTTP/1 table, with HTTP/2 on."""
    return module_servers.sites(Site(host="www.example.test"), reg={"EnableHttp2Cleartext": 1})


def test_most_of_the_table_can_be_said():
    assert len(OWN) > 30, [row[0] for row in OWN]


@pytest.mark.parametrize("row", OWN, ids=[row[0] for row in OWN])
def test_own_answers_are_those_of_http1(named, row):
    name, fields, reason = row
    conn = named.connect()
    peer = Raw(conn.sock)
    has_body = dict(fields)[":method"] in ("POST", "PUT") and "content-length" in dict(fields)
    block = peer.encoder.encode(fields)
    pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)]
    peer.send(frames.HeadersFrame(1, pieces[0], flags=(["END_HEADERS"] if len(pieces) == 1 else []) +
                                  ([] if has_body else ["END_STREAM"])),
              *[frames.ContinuationFrame(1, piece, flags=["END_HEADERS"] if piece is pieces[-1] else [])
                for piece in pieces[1:]])
    head = peer.until(lambda f: isinstance(f, frames.HeadersFrame))
    answer = dict(head.fields)
    if reason is None:
        assert answer["server"] == "Microsoft-IIS/10.0", head.fields
        return
    status, body = own_body(reason)
    assert answer[":status"] == str(status), (name, head.fields)
    assert [n for n, _ in head.fields] == [":status", "content-type", "server", "date", "content-length"]
    peer.until(lambda f: "END_STREAM" in f.flags)
    assert b"".join(f.data for f in peer.seen if isinstance(f, frames.DataFrame)) == body
    named.expect(reason)
    record = named.httperr_for(conn.port)
    assert (record["s-reason"], record["cs-version"], record["streamid"]) == (reason, "HTTP/2.0", "1")
    peer.send(peer.head(3, fields=[*GET[:2], (":authority", "www.example.test"), GET[3]])).expect_answer(3, "403")


def test_authority_and_host_must_agree(raw):
    peer = raw()
    peer.send(peer.head(fields=[*GET, ("host", "other.test")])).expect_answer(status="400")
    peer.send(peer.head(3, fields=[*GET, ("host", "LOCALHOST")])).expect_answer(3)


# --- priorities, many at once, programs ---

def test_urgent_answers_come_first(raw):
    """RFC 9218: with the connection's window as the bottleneck, what is urgent is sent whole before the rest."""
    peer = raw(settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0x7fffffff}).settled()
    big = [*GET[:3], (":path", "/big.bin")]
    peer.send(peer.head(1, [*big, ("priority", "u=7")]), peer.head(3, [*big, ("priority", "u=1")]),
              peer.head(5, [*big, ("priority", "u=7")]))
    peer.bytes(frame_bytes(0x10, 0, 0, b"\0\0\0\5u=0"))
    for stream in (1, 3, 5):
        peer.expect_answer(stream)
    peer.settled()
    before = len(peer.seen)
    peer.send(frames.WindowUpdateFrame(0, window_increment=2 * 1048576))
    deadline = time.monotonic() + 20
    while sum(len(f.data) for f in peer.seen if isinstance(f, frames.DataFrame)) < 2 * 1048576:
        assert peer.read_frame(deadline) is not None
    order = [f.stream_id for f in peer.seen[before:] if isinstance(f, frames.DataFrame)]
    assert order[0] == 5 and order.index(3) > max(i for i, s in enumerate(order) if s == 5)


def test_a_thousand_requests_on_one_connection(server):
    client = transport.connect(server, transport.HTTP2).http2
    for _ in range(10):
        streams = [client.ask(target=f"/small.txt?{n}") for n in range(100)]
        for stream in streams:
            assert client.read(stream).body == b"x" * 1024


def test_uploads_and_downloads_beside_each_other(server):
    def work(n):
        with transport.connect(server, transport.HTTP2) as conn:
            down = conn.http2.ask(target="/big.bin")
            up = conn.http2.ask("POST", f"/up/{n}", body=b"u" * 300000)
            answers = [conn.http2.read(down)]
            assert answers[0].body == FILES["big.bin"]
            return conn.http2.answers[up].status
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(8))) <= {404, 405}


def test_logs_have_version_and_every_request(servers):
    server = servers.sites(Site(inner='<logFile logFormat="W3C" logExtFileFlags="Date, Time, UriStem, HttpStatus, '
                                'ProtocolVersion, BytesSent, BytesRecv" />'),
                           files={"inetpub/wwwroot/a.txt": "hello"}, reg={"EnableHttp2Cleartext": 1})
    with transport.connect(server, transport.HTTP2) as conn:
        for _ in range(30):
            conn.http2.read(conn.http2.ask(target="/a.txt"))
    records = wait_until(lambda: len(read_w3c(server.drive)) == 30 and read_w3c(server.drive), "30 records")
    assert {r["cs-version"] for r in records} == {"HTTP/2.0"}
    assert all(int(r["sc-bytes"]) > 100 and int(r["cs-bytes"]) > 40 for r in records)


@pytest.mark.smoke
@pytest.mark.parametrize("program", [
    ["curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}"],
    ["nghttp", "-nv"],
    ["h2load", "-n", "2000", "-c", "10", "-m", "50"]], ids=["curl", "nghttp", "h2load"])
def test_client_programs(server, program):
    if not shutil.which(program[0]):
        pytest.skip(f"{program[0]} is not installed")
    done_ = subprocess.run([*program, f"http://127.0.0.1:{server.port}/big.bin" if program[0] != "h2load" else
                            f"http://127.0.0.1:{server.port}/small.txt"], capture_output=True, text=True, timeout=120)
    assert done_.returncode == 0, done_
    wanted = {"curl": "2 200 1048576", "nghttp": ":status: 200", "h2load": "2000 succeeded, 0 failed, 0 errored"}
    assert wanted[program[0]] in done_.stdout, done_.stdout[-2000:]


# --- TLS and the end ---

def test_alpn_chooses(servers):
    server = servers(files=FILES, arguments=["--https"])
    for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
        with server.connect() as conn:
            sock = wrap_tls(conn.sock, alpn=offered) if offered else None
            if sock:
                assert sock.selected_alpn_protocol() == chosen
                if chosen == "h2":
                    client = Client(sock, "https")
                    assert client.read(client.ask()).status == 200


def test_enable_http2_tls_off(servers):
    server = servers(files=FILES, arguments=["--https"], reg={"EnableHttp2Tls": 0})
    with server.connect() as conn:
        sock = wrap_tls(conn.sock, alpn=["http/1.1"])
        assert sock.selected_alpn_protocol() in (None, "http/1.1")


def test_stopping_says_goodbye_twice(servers):
    server = servers(files=FILES, reg={"EnableHttp2Cleartext": 1})
    peer = Raw(server.connect().sock)
    peer.send(peer.head(fields=POST, flags=("END_HEADERS",))).settled()
    busy = Raw(server.connect().sock, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    busy.send(busy.head(fields=[*GET[:3], (":path", "/small.txt")])).expect_answer()
    server.process.terminate()
    first = busy.until(lambda f: isinstance(f, frames.GoAwayFrame))
    assert (first.error_code, first.last_stream_id) == (NO_ERROR, 0x7fffffff)
    busy.send(frames.WindowUpdateFrame(1, window_increment=5000))
    busy.until(lambda f: "END_STREAM" in f.flags)
    last = busy.until(lambda f: isinstance(f, frames.GoAwayFrame) and f.last_stream_id == 1)
    assert last.error_code == NO_ERROR
    server.process.wait(30)
    server.tolerate("Timer_EntityBody", "Connection_Dropped", "Client_Reset", "Connection_Abandoned_By_ReqQueue")


def test_an_idle_connection_ends_with_a_goaway(servers):
    server = servers.sites(Site(inner='<limits connectionTimeout="00:00:01" />'), reg={"EnableHttp2Cleartext": 1})
    server.expect("Timer_ConnectionIdle")
    peer = Raw(server.connect().sock)
    peer.send(peer.head()).expect_answer(status="403")
    frame = peer.until(lambda f: isinstance(f, frames.GoAwayFrame), limit=40)
    assert (frame.error_code, frame.last_stream_id) == (NO_ERROR, 1)


def test_a_head_that_never_ends_in_time(servers):
    server = servers.sites(reg={"EnableHttp2Cleartext": 1}, web_limits='headerWaitTimeout="00:00:01"')
    server.expect("Timer_HeaderWait")
    peer = Raw(server.connect().sock)
    peer.send(peer.head(flags=("END_STREAM",)))
    peer.until(lambda f: isinstance(f, frames.GoAwayFrame), limit=40)


def test_a_body_that_stalls(servers):
    server = servers.sites(Site(inner='<limits connectionTimeout="00:00:01" />'), reg={"EnableHttp2Cleartext": 1})
    server.tolerate("Timer_EntityBody", "Timer_ConnectionIdle")
    peer = Raw(server.connect().sock)
    peer.send(peer.head(fields=[*POST, ("content-length", "10")], flags=("END_HEADERS",)), frames.DataFrame(1, data=b"x"))
    peer.until(lambda f: f.stream_id == 1 and isinstance(f, (frames.RstStreamFrame, frames.HeadersFrame)), limit=40)

