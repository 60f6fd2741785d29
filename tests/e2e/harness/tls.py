"""Tools of the tests that speak TLS: an authority that makes certificates, clients, sites with https."""
import contextlib
import functools
import pathlib
import re
import socket
import ssl
import subprocess

from .apphost import Site


# --- certificates ---

def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60, **more)


class Authority:
    """Makes certificates; a new one for the same name differs from the one before."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.key, self.cert = folder / "root.key", folder / "root.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.cert, "-subj", "/CN=Test Root", "-days", "30")

    def make(self, name, days=60, rsa=None, usage="serverAuth", ocsp=None):
        """(certificate, key) as files."""
        self.count += 1
        base = self.folder / f"c{self.count}"
        kind = ["rsa:%d" % rsa] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-new", "-newkey", *kind, "-nodes", "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}")
        pathlib.Path(f"{base}.ext").write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n"
                                              + (f"authorityInfoAccess=OCSP;URI:{ocsp}\n" if ocsp else ""))
        openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.cert, "-CAkey", self.key, "-set_serial", 100 + self.count,
                "-days", days, "-out", f"{base}.crt", "-extfile", f"{base}.ext")
        return pathlib.Path(f"{base}.crt"), pathlib.Path(f"{base}.key")

    def pem(self, name, **more):
        """Certificate and key in one text."""
        cert, key = self.make(name, **more)
        return cert.read_text() + key.read_text()

    def pfx(self, pair, password="", legacy=False):
        out = self.folder / f"c{self.count}.pfx"
        openssl("pkcs12", "-export", "-in", pair[0], "-inkey", pair[1], "-out", out, "-passout", "pass:" + password,
                *(["-legacy", "-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES"] if legacy else []))
        return out.read_bytes()


def put(path, content, mode=0o600):
    """As whole as a renewal tool does it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name("." + path.name + ".new")
    fresh.write_bytes(content.encode() if isinstance(content, str) else content)
    fresh.chmod(mode)
    fresh.rename(path)


def thumbprint(pem):
    text = pem.read_text() if isinstance(pem, pathlib.Path) else pem
    out = openssl("x509", "-noout", "-fingerprint", "-sha1", input=text.encode()).stdout.decode()
    return out.split("=")[1].strip().replace(":", "").lower()


@functools.lru_cache(maxsize=None)
def serial(pem):
    return openssl("x509", "-noout", "-serial", input=pem.encode()).stdout.decode().split("=")[1].strip()


# --- clients ---

def context(authority=None, version=None, alpn=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if authority:
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.load_verify_locations(authority.cert)
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    if alpn:
        ctx.set_alpn_protocols(alpn)
    return ctx


@contextlib.contextmanager
def connect(port, name=None, ctx=None, session=None, address="127.0.0.1"):
    ctx = ctx or context()
    with socket.create_connection((address, port), timeout=60) as raw:
        with ctx.wrap_socket(raw, server_hostname=name, session=session) as conn:
            yield conn


def get(conn, path="/a.txt", host="localhost", close=False):
    conn.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{'Connection: close' if close else 'A: b'}\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        piece = conn.recv(65536)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1])
    while len(body) < length:
        piece = conn.recv(65536)
        assert piece, len(body)
        body += piece
    return int(head.split()[1]), body


def served_serial(port, name=None):
    """Serial number of the certificate that a client gets."""
    with connect(port, name) as conn:
        return serial(ssl.DER_cert_to_PEM_cert(conn.getpeercert(binary_form=True)))


def refused(port, name=None, ctx=None):
    try:
        with connect(port, name, ctx):
            return False
    except (ssl.SSLError, ConnectionError):
        return True


def https(port, host="", flags=0, more="", **kwargs):
    return Site(protocol="https", bindings=[f"127.0.0.1:{port}:{host}" if not flags & 1 else f"*:{port}:{host}"],
                binding_attributes=f'sslFlags="{flags}" {more}', **kwargs)


def file_of(path):
    return f'certificateFile="{path}"'


def reg(bindings, **parameters):
    """A registry export: keys below Parameters with their values, thumbprints by their digits."""
    key = r"[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\HTTP\Parameters"
    lines = ["Windows Registry Editor Version 5.00", "", key + "]"]
    lines += [f'"{n}"=dword:{v:08x}' for n, v in parameters.items()]
    for name, values in bindings.items():
        lines += ["", f"{key}\\{name}]"]
        for n, v in values.items():
            if n == "SslCertHash":
                v = "hex:" + ",".join(v[i:i + 2] for i in range(0, len(v), 2))
            elif isinstance(v, int):
                v = f"dword:{v:08x}"
            else:
                v = f'"{v}"'
            lines.append(f'"{n}"={v}')
    return ("\r\n".join(lines) + "\r\n").encode()
