"""The servers the benchmark compares, each with a private configuration on a free loopback port.

Everybody writes an access log, everybody gets one worker (nginx, h2o, lighttpd) or one listener thread
and one worker (candor), and everybody serves the same folder.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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


class Server:
    name = ""
    program = ""

    def __init__(self, folder, root, cores):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.root = root
        self.cores = cores
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def log(self):
        """The access log that must have grown after a run."""
        return self.folder / "access.log"

    def start(self):
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
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"bench: {self.name} did not start:\n"
                                     + (self.folder / "output").read_text()) from None
                time.sleep(0.05)

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

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    # --- what it costs ---

    def cpu_ns(self):
        """Processor time of all its threads: field 1 of schedstat."""
        total = 0
        for pid in self.pids():
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
    binary = None

    def command(self):
        return [str(self.binary), "serve", str(self.root), "--port", str(self.port), "--bind", "127.0.0.1",
                "--threads", "1", "--system-drive", str(self.folder), "--control", str(self.folder / "control")]

    def log(self):
        return self.folder / "inetpub/logs/LogFiles/W3SVC1"

    def memory_pids(self):
        """The listener alone: connections live there."""
        return [pid for pid in self.pids()
                if "listener" in pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")]


class Nginx(Server):
    name = "nginx"
    program = "nginx"
    extra = "sendfile on; tcp_nopush on;"

    def command(self):
        text = f"""
{'user www-data;' if os.geteuid() == 0 else ''}
worker_processes 1; daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{ worker_connections 16384; }}
worker_rlimit_nofile 20000;
http {{
  types {{ text/plain txt; }}
  access_log {self.log()} combined buffer=64k flush=1s;
  tcp_nodelay on; keepalive_timeout 65; keepalive_requests 1000000000;
  client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2; fastcgi_temp_path {self.folder}/t3;
  uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
  {self.extra}
  server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.root}; {self.locations()} }}
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
    extra = "sendfile on; tcp_nopush on; open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;"

    def locations(self):
        return "location = /f1k.txt { sendfile off; tcp_nopush off; }"


class H2o(Server):
    name = "h2o"
    program = "h2o"

    def command(self):
        path = self.folder / "h2o.conf"
        path.write_text(f"""
{'user: www-data' if os.geteuid() == 0 else ''}
num-threads: 1
max-connections: 20000
listen: {{ host: 127.0.0.1, port: {self.port} }}
access-log: {self.log()}
pid-file: {self.folder}/pid
hosts:
  default:
    paths:
      "/": {{ file.dir: {self.root} }}
""")
        return ["/usr/bin/h2o", "-m", "worker", "-c", str(path)]


class Lighttpd(Server):
    name = "lighttpd"
    program = "lighttpd"

    def command(self):
        path = self.folder / "lighttpd.conf"
        path.write_text(f"""
server.document-root = "{self.root}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.modules = ( "mod_accesslog" )
server.max-worker = 0
server.max-connections = 16384
server.max-fds = 20000
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 65
server.listen-backlog = 4096
accesslog.filename = "{self.log()}"
server.errorlog = "{self.folder}/error.log"
mimetype.assign = ( ".txt" => "text/plain" )
""")
        return ["/usr/sbin/lighttpd", "-D", "-f", str(path)]


ALL = [Candor, Nginx, NginxTuned, H2o, Lighttpd]
