"""The servers the benchmark compares, each with a private configuration on free loopback ports.

Everybody writes an access log, everybody gets one worker or thread (candor: one listener thread and one
worker), everybody serves the same folder with the same certificate (ECDSA P-256, TLS 1.3 only). Peers are
configured as their own documents advise for speed; where that differs by file, by file.
"""
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e" / "harness"))
from ports import free_port  # noqa: E402

def descendants(pid):
    found, queue = [pid], [pid]
    while queue:
        one = queue.pop()
        for task in pathlib.Path(f"/proc/{one}/task").iterdir() if pathlib.Path(f"/proc/{one}/task").exists() else []:
            try:
                pids = [int(p) for p in (task / "children").read_text().split()]
            except OSError:
                continue
            found += pids
            queue += pids
    return found


def make_certificate(folder):
    """One self-signed certificate for everybody. Returns the paths of certificate, key, and both in one."""
    cert, key, both = folder / "cert.pem", folder / "key.pem", folder / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    cert.chmod(0o644)
    for path in (key, both):
        path.chmod(0o600)                 # candor refuses a key that everybody may read
    return cert, key, both


def client_context(protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context


class Server:
    name = ""
    program = ""
    extra = False                         # a variant that is not the yardstick of "best"
    settles = 0                           # seconds to wait between requests for two hosts while it is warmed up
    serves = frozenset({"static", "304", "404", "tls", "h2", "close", "handshake"})

    def __init__(self, folder, root, certificate, cores):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o777)
        self.root = root
        self.certificate = certificate
        self.cores = cores
        self.port = free_port()
        self.tls_port = free_port()
        self.process = None
        self.can = set(self.serves)       # what it turned out to do, see find_out()

    def command(self):
        raise NotImplementedError

    def log(self):
        """The access log that must have grown after a run; None where it is in memory."""
        return self.folder / "access.log"

    def try_start(self):
        """Starts it; returns None, or what it said when it did not come up."""
        def pin():
            if self.cores:
                os.sched_setaffinity(0, self.cores)
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, preexec_fn=pin, start_new_session=True)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return None
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    return (self.folder / "output").read_text(errors="replace")
                time.sleep(0.05)

    def start(self):
        trouble = self.try_start()
        if trouble is not None:
            raise SystemExit(f"bench: {self.name} did not start:\n{trouble}")
        self.find_out()

    def find_out(self):
        """Drops what needs TLS or HTTP/2 from what it can, if it has none."""
        agreed = self._agreed_protocol()
        if agreed is None:
            self.can -= {"tls", "h2", "handshake"}
        elif agreed != "h2":
            self.can -= {"h2"}

    def _agreed_protocol(self):
        try:
            with socket.create_connection(("127.0.0.1", self.tls_port), 5) as raw:
                with client_context(["h2", "http/1.1"]).wrap_socket(raw, server_hostname="localhost") as conn:
                    return conn.selected_alpn_protocol() or "http/1.1"
        except OSError:
            return None

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        """Ends the server and everything it started."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()

    def url(self, path, tls=False):
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    # --- what it costs ---

    def cpu_ns(self, pids=None):
        """Processor time of all its threads: field 1 of schedstat."""
        total = 0
        for pid in self.pids() if pids is None else pids:
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except OSError:
                    continue
        return total

    def cpu_ticks_ns(self):
        """utime + stime of all its processes; coarse, to cross-check."""
        total = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def worker_pids(self):
        """Processes behind the one that has the connections; their share is shown."""
        return []

    def memory_pids(self):
        return self.pids()

    def memory(self):
        """Private bytes of the processes that hold connections."""
        total = 0
        for pid in self.memory_pids():
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(v) for v in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.M))
        return total * 1024


class Candor(Server):
    name = "candor"
    settles = 1.1                         # a file enters the response cache once a second, for one host each time
    binary = None
    with_tls = True

    def command(self):
        cert, key, _ = self.certificate
        text = subprocess.run([self.binary, "serve", "--print-config"], check=True, capture_output=True,
                              text=True).stdout
        bindings = f'<binding protocol="http" bindingInformation="127.0.0.1:{self.port}:" />'
        if self.with_tls:
            bindings += (f'<binding protocol="https" bindingInformation="127.0.0.1:{self.tls_port}:" '
                         f'certificateFile="{cert}" certificateKeyFile="{key}" />')
        text = re.sub(r'<binding protocol="http"[^>]*/>', bindings, text, count=1)
        text = text.replace(r"%SystemDrive%\inetpub\wwwroot", str(self.root))
        path = self.folder / "applicationHost.config"
        path.write_text(text)
        return [str(self.binary), "serve", "--config", str(path), "--threads", "1",
                "--system-drive", str(self.folder), "--control", str(self.folder / "control")]

    def start(self):
        trouble = self.try_start()
        if trouble is not None:
            type(self).with_tls = False
            print("bench: candor does not take the https binding, its TLS and HTTP/2 rows are left out. It said:\n"
                  + trouble, flush=True)
            trouble = self.try_start()
            if trouble is not None:
                raise SystemExit(f"bench: candor did not start:\n{trouble}")
        self.find_out()

    def log(self):
        return self.folder / "inetpub/logs/LogFiles/W3SVC1"

    def _role(self, role):
        return [pid for pid in self.pids()
                if role in pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")]

    def worker_pids(self):
        return self._role("worker")

    def memory_pids(self):
        """The listener alone: connections live there."""
        return self._role("listener")


class Nginx(Server):
    name = "nginx"
    program = "nginx"
    options = "sendfile on; tcp_nopush on;"
    listen = ""

    def command(self):
        cert, key, _ = self.certificate
        text = f"""
{'user www-data;' if os.geteuid() == 0 else ''}
worker_processes 1; daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 19000; }}
worker_rlimit_nofile 20000;
http {{
  types {{ text/plain txt; }}
  access_log {self.log()} combined buffer=64k flush=1s;
  tcp_nodelay on; keepalive_timeout 300; keepalive_requests 1000000000;
  client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
  uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
  {self.options}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096 {self.listen};
    listen 127.0.0.1:{self.tls_port} ssl http2 backlog=4096 {self.listen};
    ssl_protocols TLSv1.3; ssl_certificate {cert}; ssl_certificate_key {key};
    root {self.root}; {self.locations()}
  }}
}}
"""
        path = self.folder / "nginx.conf"
        path.write_text(text)
        return ["/usr/sbin/nginx", "-c", str(path), "-p", str(self.folder)]

    def locations(self):
        return ""


class NginxTuned(Nginx):
    """With the open-file cache, and without sendfile where that only costs system calls."""
    name = "nginx+ofc"
    options = "sendfile on; tcp_nopush on; open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;"

    def locations(self):
        return "location ~ f1k.txt$ { sendfile off; tcp_nopush off; }"


class NginxDeferred(NginxTuned):
    """Its accept waits for data: fair only beside a client that speaks first, hence a variant of its own."""
    name = "nginx+deferred"
    listen = "deferred"
    extra = True
    serves = frozenset({"close", "handshake"})


class H2o(Server):
    """Writes its log with one system call per request; it has no buffered way."""
    name = "h2o"
    program = "h2o"

    def access_log(self):
        return f"access-log: {self.log()}"

    def command(self):
        cert, key, _ = self.certificate
        path = self.folder / "h2o.conf"
        path.write_text(f"""
{'user: www-data' if os.geteuid() == 0 else ''}
num-threads: 1
max-connections: 19000
http1-request-timeout: 300
http2-idle-timeout: 300
listen: {{ host: 127.0.0.1, port: {self.port} }}
listen:
  host: 127.0.0.1
  port: {self.tls_port}
  ssl: {{ certificate-file: {cert}, key-file: {key}, minimum-version: TLSv1.3 }}
{self.access_log()}
pid-file: {self.folder}/pid
hosts:
  default:
    paths:
      "/": {{ file.dir: {self.root} }}
""")
        return ["/usr/bin/h2o", "-m", "worker", "-c", str(path)]


class H2oSilent(H2o):
    """For information: what h2o does when it need not log."""
    name = "h2o-nolog"
    extra = True

    def access_log(self):
        return ""

    def log(self):
        return None


class Lighttpd(Server):
    name = "lighttpd"
    program = "lighttpd"

    def command(self):
        _, _, both = self.certificate
        path = self.folder / "lighttpd.conf"
        path.write_text(f"""
server.document-root = "{self.root}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.modules = ( "mod_accesslog", "mod_openssl" )
server.max-worker = 0
server.max-connections = 19000
server.max-fds = 20000
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 300
server.listen-backlog = 4096
accesslog.filename = "{self.log()}"
server.errorlog = "{self.folder}/error.log"
mimetype.assign = ( ".txt" => "text/plain" )
$SERVER["socket"] == "127.0.0.1:{self.tls_port}" {{
  ssl.engine = "enable"
  ssl.pemfile = "{both}"
  ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.3")
}}
""")
        return ["/usr/sbin/lighttpd", "-D", "-f", str(path)]


class Haproxy(Server):
    """Serves the small file from its memory; log in a ring in memory, which is its cheapest."""
    name = "haproxy"
    program = "haproxy"
    serves = frozenset({"static1k", "tls", "h2", "close", "handshake"})

    def log(self):
        return None

    def command(self):
        _, _, both = self.certificate
        path = self.folder / "haproxy.cfg"
        path.write_text(f"""
global
    nbthread 1
    maxconn 9000
    log ring@rb local0
    stats timeout 30s
ring rb
    format rfc3164
    maxlen 1200
    size 32764
defaults
    mode http
    log global
    option httplog
    option http-keep-alive
    timeout client 300s
    timeout server 300s
    timeout connect 5s
    timeout http-keep-alive 300s
frontend f
    bind 127.0.0.1:{self.port} backlog 4096
    bind 127.0.0.1:{self.tls_port} backlog 4096 ssl crt {both} alpn h2,http/1.1 ssl-min-ver TLSv1.3
    http-request return status 200 content-type text/plain file {self.root}/f1k.txt if {{ path_end /f1k.txt }}
    http-request return status 404
""")
        return ["/usr/sbin/haproxy", "-db", "-f", str(path)]


ALL = [Candor, Nginx, NginxTuned, NginxDeferred, H2o, H2oSilent, Lighttpd, Haproxy]
