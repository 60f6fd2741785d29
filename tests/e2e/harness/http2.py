"""HTTP/2 clients for tests: one that asks (on python3-h2), one that says any frames (on hyperframe).

Both read strictly. The second one is for what no honest client says; it keeps what comes as a list of frames.
"""
import contextlib
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
from hyperframe import frame as frames

from .client import ProtocolError, Response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What belongs to one connection of HTTP/1; rows of tables that send it mean HTTP/1.
CONNECTION_FIELDS = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}


def wrap_tls(sock, name="localhost", alpn=("h2",)):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    wrapped = context.wrap_socket(sock, server_hostname=name)
    assert wrapped.selected_alpn_protocol() in (None, alpn[0]), wrapped.selected_alpn_protocol()
    return wrapped


class Client:
    """A client with any number of streams on a connected socket."""

    def __init__(self, sock, scheme="http"):
        # What a test sends may be wrong on purpose; what comes back is judged here, not by the library.
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1",
                                           validate_outbound_headers=False, normalize_outbound_headers=False)
        self.sock = sock
        self.scheme = scheme
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.answers = {}
        self.ended = {}                       # stream -> error code, None for an orderly end
        self.goaway = None
        self._flush()

    def _flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, method="GET", target="/", headers=(), body=None, host="localhost"):
        pairs = [(n.lower(), v) for n, v in (headers.items() if isinstance(headers, dict) else headers)]
        fields = [(":method", method), (":scheme", self.scheme), (":authority", host), (":path", target),
                  *[p for p in pairs if p[0] not in CONNECTION_FIELDS]]
        if body is not None and "content-length" not in dict(pairs):
            fields.append(("content-length", str(len(body))))
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields, end_stream=not body)
        self._flush()
        sent = 0
        while body and sent < len(body) and stream not in self.ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.read_some()
                continue
            piece = body[sent:sent + room]
            sent += len(piece)
            self.h2.send_data(stream, piece, end_stream=sent == len(body))
            self._flush()
        return stream

    def read_some(self):
        data = self.sock.recv(65536)
        if not data:
            raise ProtocolError("the connection ended")
        for event in self.h2.receive_data(data):
            self._take(event)
        self._flush()

    def _take(self, event):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ResponseReceived):
            fields = list(event.headers)
            assert fields[0][0] == ":status" and not any(n.startswith(":") for n, _ in fields[1:]), fields
            assert not {n for n, _ in fields} & CONNECTION_FIELDS, fields
            assert all(n == n.lower() for n, _ in fields), fields
            self.answers[stream] = Response(int(fields[0][1]), "", fields[1:], repr(fields).encode())
            self.answers[stream].framing = "stream"
        elif isinstance(event, h2.events.DataReceived):
            self.answers[stream].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.setdefault(stream, None)
        elif isinstance(event, h2.events.StreamReset):
            self.ended.setdefault(stream, int(event.error_code))
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event

    def read(self, stream):
        """The whole answer of a stream."""
        while stream not in self.ended:
            self.read_some()
        if self.ended[stream] is not None:
            raise ProtocolError(f"stream {stream} was reset with {self.ended[stream]}")
        answer = self.answers[stream]
        length = answer.get("content-length")
        if length is not None and answer.body:
            assert int(length) == len(answer.body), (length, len(answer.body))
        return answer


def frame_bytes(kind, flags, stream, payload, length=None):
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class Raw:
    """Frames as a test wants them."""

    def __init__(self, sock, settings=None, preface=True):
        self.sock = sock
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.pending = b""
        self.seen = []
        self.closed = False
        if preface:
            first = frames.SettingsFrame(0, settings=settings or {})
            self.sock.sendall(PREFACE + first.serialize())

    def bytes(self, data):
        self.sock.sendall(data)
        return self

    def send(self, *what):
        self.sock.sendall(b"".join(f.serialize() for f in what))
        return self

    def head(self, stream=1, fields=None, flags=("END_HEADERS", "END_STREAM"), **more):
        return frames.HeadersFrame(stream, self.encoder.encode(fields or GET), flags=list(flags), **more)

    def read_frame(self, deadline):
        """The next frame; None at the end of the connection."""
        while True:
            if len(self.pending) >= 9:
                frame, length = frames.Frame.parse_frame_header(memoryview(self.pending[:9]))
                if len(self.pending) >= 9 + length:
                    frame.parse_body(memoryview(self.pending[9:9 + length]))
                    self.pending = self.pending[9 + length:]
                    if isinstance(frame, frames.HeadersFrame):
                        frame.fields = self.decoder.decode(frame.data)
                    self.seen.append(frame)
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"nothing more came, so far {self.seen}")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            except socket.timeout:
                raise AssertionError(f"nothing more came, so far {self.seen}") from None
            if not data:
                self.closed = True
                return None
            self.pending += data

    def until(self, wanted, limit=60):
        """The first frame, now or later, for which wanted(frame) holds; fails at the end of the connection."""
        deadline = time.monotonic() + limit
        for frame in self.seen:
            if wanted(frame):
                return frame
        while True:
            frame = self.read_frame(deadline)
            assert frame is not None, f"the connection ended, so far {self.seen}"
            if wanted(frame):
                return frame

    def settled(self):
        """Everything sent so far has been looked at: a ping has come back."""
        mark = bytes([len(self.seen) & 255]) * 8
        self.send(frames.PingFrame(0, opaque_data=mark))
        self.until(lambda f: isinstance(f, frames.PingFrame) and "ACK" in f.flags and f.opaque_data == mark)
        return self

    def expect_answer(self, stream=1, status="200"):
        head = self.until(lambda f: isinstance(f, frames.HeadersFrame) and f.stream_id == stream)
        assert head.fields[0] == (":status", status), head.fields
        return head

    def expect_reset(self, stream=1, code=None):
        """RST_STREAM, or the whole connection refused, which covers the stream as well."""
        frame = self.until(lambda f: (isinstance(f, frames.RstStreamFrame) and f.stream_id == stream)
                           or isinstance(f, frames.GoAwayFrame))
        assert code is None or frame.error_code == code, (frame, frame.error_code)
        return frame

    def expect_goaway(self, code=None):
        """GOAWAY with that code, and then the end of the connection."""
        frame = self.until(lambda f: isinstance(f, frames.GoAwayFrame))
        assert code is None or frame.error_code == code, (frame, frame.error_code)
        deadline = time.monotonic() + 60
        while self.read_frame(deadline) is not None:
            pass
        return frame


NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, _, STREAM_CLOSED, FRAME_SIZE_ERROR = range(7)
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, _, ENHANCE_YOUR_CALM = range(7, 12)
GET = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]
POST = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]


@contextlib.contextmanager
def raw_connections(server):
    """Gives what makes connections with frames by hand: nothing waits for their windows. They end with the context."""
    conns = []

    def make(**more):
        conns.append(server.connect())
        return Raw(conns[-1].sock, **more)
    yield make
    for conn in conns:
        conn.close()
