"""A client that sends exactly the bytes it is given and reads answers strictly.

It is deliberately not a HTTP library: a lenient reader would hide what these tests are for.
"""
import re
import socket
import time

STATUS_LINE = re.compile(rb"^HTTP/1\.1 ([0-9]{3}) ([^\r\n]*)$")
NO_BODY = {204, 304}


class ProtocolError(AssertionError):
    """The server broke the framing rules of RFC 9112."""


class Response:
    def __init__(self, status, reason, headers, head):
        self.status = status
        self.reason = reason
        self.headers = headers            # [(name, value)] in wire order
        self.head = head                  # the bytes up to and with the blank line
        self.body = b""
        self.framing = "none"             # none | length | chunked | close

    @property
    def raw(self):
        return self.head + self.body

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        assert len(values) < 2, f"{name} was sent {len(values)} times: {values}"
        return values[0] if values else default

    @property
    def names(self):
        return [n for n, _ in self.headers]

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def code(self):
        """STATUS.SUBSTATUS of X-Candor-Error, which local clients get with every error."""
        mark = self.get("X-Candor-Error")
        return mark.split(" ", 1)[0] if mark else str(self.status)

    def __repr__(self):
        return f"<{self.head!r} + {len(self.body)} bytes {self.body[:200]!r}>"


class Conn:
    def __init__(self, address, timeout=60, source=None, sock=None, receive_buffer=None):
        if sock is None:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                sock.bind((source, 0))
            sock.settimeout(timeout)
            sock.connect(address)
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.timeout = timeout
        self.pending = b""
        self.port = sock.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.sock.sendall(data)
        return self

    def send_pieces(self, data, cuts):
        """Sends data cut at each offset of cuts, each piece in a segment of its own."""
        last = 0
        for cut in [*cuts, len(data)]:
            if cut > last:
                self.sock.sendall(data[last:cut])
                last = cut
        return self

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def _fill(self):
        data = self.sock.recv(65536)
        self.pending += data
        return bool(data)

    def _gather(self, count=None):
        """Reads until count bytes are pending, or to the end of the stream (then False)."""
        found, more = bytearray(self.pending), True
        try:
            while more and (count is None or len(found) < count):
                data = self.sock.recv(262144)
                found += data
                more = bool(data)
        finally:
            self.pending = bytes(found)
        return more

    def take(self, count):
        """The next count bytes of the stream."""
        if not self._gather(count):
            raise ProtocolError(f"connection ended inside a body, {count} bytes wanted, "
                                f"got {len(self.pending)}: {self.pending[:200]!r}")
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def _take_line(self):
        while b"\r\n" not in self.pending:
            if not self._fill():
                raise ProtocolError(f"connection ended inside a line: {self.pending!r}")
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def read_head(self):
        while b"\r\n\r\n" not in self.pending:
            if not self._fill():
                raise ProtocolError(f"connection ended before a complete head: {self.pending!r}")
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        head += b"\r\n\r\n"
        lines = head[:-4].split(b"\r\n")
        match = STATUS_LINE.match(lines[0])
        if not match:
            raise ProtocolError(f"bad status line {lines[0]!r}")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise ProtocolError(f"bad header line {line!r}")
            if b"\r" in line or b"\n" in line or b"\0" in line:
                raise ProtocolError(f"control byte in {line!r}")
            headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        return Response(int(match[1]), match[2].decode("latin-1"), headers, head)

    def read(self, method="GET"):
        """One response with its body; interim answers are not skipped."""
        response = self.read_head()
        lengths = response.all("Content-Length")
        codings = response.all("Transfer-Encoding")
        if lengths and codings:
            raise ProtocolError(f"both framings in {response.head!r}")
        if response.status < 200 or response.status in NO_BODY or method == "HEAD":
            return response
        if codings:
            if codings != ["chunked"]:
                raise ProtocolError(f"unknown coding in {response.head!r}")
            response.framing = "chunked"
            response.body = self._read_chunks()
        elif lengths:
            if len(lengths) > 1 or not re.fullmatch(r"[0-9]+", lengths[0]):
                raise ProtocolError(f"bad Content-Length in {response.head!r}")
            response.framing = "length"
            response.body = self.take(int(lengths[0]))
        else:
            response.framing = "close"
            response.body = self.read_to_end()
        return response

    def _read_chunks(self):
        body = b""
        while True:
            size = int(self._take_line().split(b";")[0], 16)
            if size == 0:
                while self._take_line():
                    pass
                return body
            body += self.take(size)
            if self.take(2) != b"\r\n":
                raise ProtocolError("chunk data without CRLF")

    def read_to_end(self):
        """Everything up to the end of the stream."""
        self._gather()
        taken, self.pending = self.pending, b""
        return taken

    def ended(self, within=None):
        """True when the server ends the connection (FIN or RST) and sends nothing more before."""
        deadline = time.monotonic() + (within or self.timeout)
        self.sock.settimeout(within or self.timeout)
        try:
            while time.monotonic() < deadline:
                data = self.sock.recv(4096)
                if not data:
                    return not self.pending
                self.pending += data
        except ConnectionResetError:
            return not self.pending
        except socket.timeout:
            return False
        finally:
            self.sock.settimeout(self.timeout)
        return False

    def is_open(self):
        """True while neither data nor the end of the stream waits to be read."""
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(4096)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.sock.settimeout(self.timeout)
        self.pending += data
        return bool(data)


def build(method="GET", target="/", headers=(), body=None, host="localhost", version="1.1"):
    """A request as bytes. headers: pairs, sent as they are; body adds Content-Length."""
    lines = [f"{method} {target} HTTP/{version}"]
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    names = {n.lower() for n, _ in pairs}
    if host is not None and "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{n}: {v}" for n, v in pairs]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (body or b"")
