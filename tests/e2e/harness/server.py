"""Starts the real program in a folder of its own, and judges it when it has ended.

The judgement (Server.stop) is the universal end check of every test: exit code 0 on SIGTERM, no
sanitizer report, no process left over, no socket left open in the listener, no HTTPERR line and no
warning event that no test had announced.
"""
import collections
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from .client import Conn, build
from .logs import read_events, read_httperr, read_w3c
from .ports import free_port  # noqa: F401 - tests take it from here

TOP = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("CANDOR_BIN") or TOP / "build" / "candor").resolve()
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|ThreadSanitizer|"
                       r"runtime error:|\*\*\* (stack smashing|buffer overflow) detected|"
                       r"Assertion .* failed|INVARIANT")
LISTENING = re.compile(r"^candor: listening on https?://(\[[0-9a-f:.]+\]|[0-9.]+):([0-9]+) \((.*)\)$")
START_LIMIT = 90
STOP_LIMIT = 40
PATIENCE = 60.0                           # for what must happen, however slow the machine; see also stopwatch.py
CLONE_NEWNET = 0x40000000

current_test = "start"                    # set by conftest; names the test a connection belongs to


def wait_until(condition, what, limit=PATIENCE, pause=0.01):
    """Polls until condition() gives something true and returns that; fails after limit seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what() if callable(what) else what}")
        time.sleep(pause)


def children_of(pid):
    """All live descendants of a process."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with contextlib.suppress(OSError):
                    text = pathlib.Path(f"/proc/{one}/task/{task}/children").read_text()
                    queue += [int(p) for p in text.split()]
                    found += [int(p) for p in text.split()]
    return found


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def status_field(pid, name):
    """One value of /proc/PID/status."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return None


def socket_count(pid):
    """How many TCP sockets a process holds; those to its own workers do not count."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            lines = pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            inodes |= {line.split()[9] for line in lines}
    count = 0
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            link = os.readlink(f"/proc/{pid}/fd/{entry}")
            count += link.startswith("socket:[") and link[8:-1] in inodes
    return count


def make_drive():
    """A new system drive that every pool identity may walk into."""
    drive = pathlib.Path(tempfile.mkdtemp(prefix="candor-", dir="/tmp"))
    drive.chmod(0o755)
    return drive


def write_tree(folder, files):
    """files: {relative path: bytes, text, or None for a folder}."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def replace_file(path, content):
    """Saves like an editor does: a new file moved over the old one."""
    path = pathlib.Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(fresh, path)


class Server:
    """One running program. Use through the `servers` or `module_servers` fixtures."""

    def __init__(self, config=None, files=None, reg=None, arguments=(), environment=None,
                 private_network=False, rlimits=(), binary=None, drive=None, as_user=None):
        self.drive = drive or make_drive()
        self.binary = pathlib.Path(binary or BINARY)
        self.config = config
        self.expected = collections.Counter()     # HTTPERR reasons with their number
        self.tolerated = set()                    # HTTPERR reasons in any number
        self.tolerated_events = []                # patterns of warning and error events
        self.expected_stderr = []                 # patterns that may look like a crash
        self.owners = {}                          # client port -> test
        self.conns = []
        self.seen = {}                            # pid -> command line of every process met
        self.lines = []
        self.process = None
        self.exit_code = 0
        self.private_network = private_network
        self.rlimits = rlimits
        self.as_user = as_user                    # uid to run everything as, for tests started by root
        self.addresses = []                       # [(address, port, site)]
        self.root = None
        self.config_path = None
        self.reg_path = None
        self.environment = environment or {}
        self.control = self.drive / ".control"
        self.arguments = [*self._prepare(files or {}, reg), "--system-drive", str(self.drive),
                          "--control", str(self.control), *arguments]

    def _prepare(self, files, reg):
        if self.config is None:
            self.root = self.drive / "site"
            write_tree(self.root, files)
            base = [str(self.root), "--port", "0"]
        else:
            write_tree(self.drive, files)
            self.config_path = self.drive / "config" / "applicationHost.config"
            write_tree(self.drive, self.config.support_files())
            write_tree(self.drive, {"config/applicationHost.config": self.config.render()})
            first = self.config.sites[0]
            self.root = self.drive / first.folder
            base = ["--config", str(self.config_path)]
        if reg is not None:
            self.reg_path = self.drive / "config" / "http.reg"
            write_tree(self.drive, {"config/http.reg": render_reg(reg) if isinstance(reg, dict) else reg})
            base += ["--http-parameters", str(self.reg_path)]
        return base

    # --- life ---

    def _child_setup(self):
        import resource
        for name, value in self.rlimits:
            resource.setrlimit(name, value)
        if self.private_network:
            enter_private_network()

    def spawn(self):
        environment = dict(os.environ)
        environment.pop("NOTIFY_SOCKET", None)
        environment["ASAN_OPTIONS"] = ("abort_on_error=0:halt_on_error=1:detect_leaks=0:"
                                       "handle_abort=1:allocator_may_return_null=1:exitcode=99")
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
        environment.update(self.environment)
        setup = self._child_setup if self.private_network or self.rlimits else None
        more = {}
        program = self.binary
        if self.as_user is not None:
            if not all(path.stat().st_mode & 0o001 for path in [program, *program.parents]):
                program = pathlib.Path(shutil.copy2(program, self.drive / "candor"))    # others may not go there
            for path in [self.drive, *self.drive.rglob("*")]:
                os.chown(path, self.as_user, self.as_user, follow_symlinks=False)
            more = {"user": self.as_user, "group": self.as_user, "extra_groups": []}
            environment.update(HOME=str(self.drive), XDG_STATE_HOME=str(self.drive))
        self.process = subprocess.Popen([str(program), "serve", *self.arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment, cwd="/",
                                        start_new_session=True, preexec_fn=setup, **more)
        self.lines, self.stdout_lines = [], []
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=(self.process.stderr, self.lines)),
                         threading.Thread(target=self._read, args=(self.process.stdout, self.stdout_lines))]
        for reader in self._readers:
            reader.daemon = True
            reader.start()
        return self

    def _read(self, pipe, lines):
        for line in iter(pipe.readline, b""):
            with self._changed:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
        pipe.close()

    def wait_line(self, pattern, limit=START_LIMIT):
        """Waits for a standard-error line that matches and returns the match."""
        pattern = re.compile(pattern)
        deadline = time.monotonic() + limit
        at = 0
        with self._changed:
            while True:
                while at < len(self.lines):
                    match = pattern.search(self.lines[at])
                    if match:
                        return match
                    at += 1
                left = deadline - time.monotonic()
                ended = self.process.poll() is not None and not self._readers[0].is_alive()
                if left <= 0 or ended:
                    raise AssertionError(f"no line {pattern.pattern!r} within {limit} s "
                                         f"(exit {self.process.poll()}):\n" + self.stderr)
                self._changed.wait(min(left, 0.5))

    def start(self):
        self.spawn()
        try:
            self.wait_line(r"^candor: ready$")
        except AssertionError:
            self.destroy()
            raise
        with self._changed:
            for line in self.lines:
                match = LISTENING.match(line)
                if match:
                    self.addresses.append((match[1].strip("[]"), int(match[2]), match[3]))
        assert self.addresses, "ready, but no line told the address:\n" + self.stderr
        self.look()
        listener = self.find("listener")
        self.idle_sockets = socket_count(listener[0]) if listener else None
        return self

    @property
    def stderr(self):
        return "\n".join(self.lines)

    def look(self):
        """Remembers every process that belongs to the server now."""
        for pid in children_of(self.process.pid):
            self.seen.setdefault(pid, command_line(pid))
        return self.seen

    def find(self, role):
        """The pids of the living processes of a role: listener, worker."""
        self.look()
        wanted = re.compile(rf"(^|[ :/-]){role}($|[ :])")
        return sorted(pid for pid in self.seen if is_running(pid) and wanted.search(command_line(pid)))

    def destroy(self):
        """Ends what is left without mercy; for failed starts and hung servers."""
        self.look()
        for pid in [self.process.pid, *self.seen]:
            with contextlib.suppress(ProcessLookupError):
                if pid == self.process.pid or is_running(pid):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self.process.wait(10)

    def hang_up(self):
        for conn in self.conns:
            conn.close()
        self.conns.clear()

    def problems_now(self):
        """What the universal check can say while the server runs."""
        found = []
        if self.process.poll() is not None and self.exit_code is not None:
            found.append(f"the server ended by itself with {self.process.returncode}")
        reports = [line for line in self.lines if SANITIZER.search(line)
                   and not any(re.search(p, line) for p in self.expected_stderr)]
        if reports:
            found.append("reports on standard error:\n" + self.stderr)
        return found

    def stop(self, how=signal.SIGTERM, limit=STOP_LIMIT):
        """Stops the server and returns what was wrong with it, as a list of texts."""
        if self.process is None:
            return []
        problems = []
        self.hang_up()
        if self.process.poll() is None:
            self.look()
            problems += self._check_sockets()
            self.process.send_signal(how)
            try:
                self.process.wait(limit)
            except subprocess.TimeoutExpired:
                problems.append(f"still running {limit} s after the stop signal:\n{self.stderr}")
                self.destroy()
        if self.exit_code is not None and self.process.returncode != self.exit_code:
            problems.append(f"exit code {self.process.returncode}, {self.exit_code} expected:\n{self.stderr}")
        problems += self._check_children()
        for reader in self._readers:
            reader.join(5)
        problems += [p for p in self.problems_now() if "by itself" not in p]
        problems += self._check_httperr()
        problems += self._check_events()
        return problems

    def _check_sockets(self):
        """Every client has hung up: the listener must be back at the sockets it started with."""
        listener = self.find("listener")
        if not listener or self.idle_sockets is None:
            return []
        try:
            wait_until(lambda: socket_count(listener[0]) <= self.idle_sockets, "", limit=20)
        except AssertionError:
            return [f"the listener holds {socket_count(listener[0])} TCP sockets, {self.idle_sockets} at start"]
        except OSError:
            pass
        return []

    def _check_children(self):
        left = {pid: line for pid, line in self.seen.items()
                if is_running(pid) and command_line(pid) == line}
        try:
            wait_until(lambda: not [p for p in left if is_running(p)], "", limit=20)
            return []
        except AssertionError:
            alive = {p: line for p, line in left.items() if is_running(p)}
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return [f"processes left over: {alive}"]

    def _check_httperr(self):
        rows = read_httperr(self.drive)
        found = collections.Counter(row["s-reason"] for row in rows)
        problems = []
        for reason in sorted(set(found) | set(self.expected)):
            if reason in self.tolerated:
                continue
            if found[reason] != self.expected[reason]:
                lines = [f"    {self.owners.get(int(r['c-port']), '?')}: {r}"
                         for r in rows if r["s-reason"] == reason][:20]
                problems.append(f"HTTPERR {reason}: {found[reason]} lines, {self.expected[reason]} "
                                "announced by the tests\n" + "\n".join(lines))
        return problems

    def _check_events(self):
        unlisted = []
        for event in read_events(self.drive):
            if str(event.get("level", "")).lower() not in ("warning", "error", "critical"):
                continue
            text = str(event)
            if not any(re.search(p, text) for p in self.tolerated_events):
                unlisted.append(text)
        return ["unlisted events:\n" + "\n".join(unlisted)] if unlisted else []

    def remove(self):
        shutil.rmtree(self.drive, ignore_errors=True)

    # --- what tests announce ---

    def expect(self, reason, count=1):
        self.expected[reason] += count

    def tolerate(self, *reasons):
        self.tolerated.update(reasons)

    def tolerate_events(self, *patterns):
        self.tolerated_events += patterns

    # --- clients ---

    def adopt(self, conn):
        """Remembers whose connection it is; it is closed at the latest when the server stops."""
        self.owners[conn.port] = current_test
        self.conns.append(conn)

    def address(self, site=None):
        for address, port, name in self.addresses:
            if site is None or name == site:
                return address, port
        raise AssertionError(f"no address for site {site!r} in {self.addresses}")

    @property
    def port(self):
        return self.address()[1]

    def connect(self, site=None, timeout=PATIENCE, source=None, address=None, receive_buffer=None):
        """A connection from a port that no earlier one of this server had: logs are searched by it."""
        where = address or self.address(site)
        used = []
        while True:
            sock = None
            if self.private_network:
                sock = connect_in_network_of(self.process.pid, where, source, timeout)
            conn = Conn(where, timeout, source=source, sock=sock, receive_buffer=receive_buffer)
            if source or conn.port not in self.owners:
                break
            used.append(conn)
        for other in used:
            other.close()
        self.adopt(conn)
        return conn

    def raw(self, data, site=None, timeout=PATIENCE):
        """Sends bytes on a connection of their own and returns all that comes back until it ends."""
        with self.connect(site, timeout) as conn:
            conn.send(data)
            return conn.read_to_end()

    def request(self, method="GET", target="/", headers=(), body=None, host=None, site=None,
                version="1.1", source=None):
        """One request on a connection of its own; the answer."""
        where = self.address(site)
        if host is None:
            host = f"{where[0] if ':' not in where[0] else '[' + where[0] + ']'}:{where[1]}"
        with self.connect(site, source=source) as conn:
            conn.send(build(method, target, headers, body, host, version))
            return conn.read(method)

    def get(self, target="/", headers=(), **more):
        return self.request("GET", target, headers, **more)

    def wait_read(self, conn):
        """Waits until the listener has taken from its socket all that this connection has sent."""
        def taken():
            for line in pathlib.Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[2].split(":")[1], 16) == conn.port:
                    return int(fields[4].split(":")[1], 16) == 0
            return False
        wait_until(taken, "the listener reads the request")

    # --- logs ---

    def w3c(self, site="*", wait=None, limit=PATIENCE):
        """Records of the site log; with wait, the records for which wait(record) holds, at least one."""
        if wait is None:
            return read_w3c(self.drive, site)
        return wait_until(lambda: [r for r in read_w3c(self.drive, site) if wait(r)],
                          lambda: f"a record in the site log; there are {read_w3c(self.drive, site)[-5:]}",
                          limit)

    def w3c_for(self, stem, site="*", limit=PATIENCE):
        """The newest record of a path."""
        return self.w3c(site, lambda r: r["cs-uri-stem"] == stem, limit)[-1]

    def httperr_for(self, port, limit=PATIENCE):
        """The HTTPERR line of the connection that came from this client port."""
        return wait_until(lambda: [r for r in read_httperr(self.drive) if r["c-port"] == str(port)],
                          lambda: f"HTTPERR line of port {port}; there are {read_httperr(self.drive)[-5:]}",
                          limit)[-1]

    def wait_event(self, pattern, limit=PATIENCE):
        return wait_until(lambda: [e for e in read_events(self.drive) if re.search(pattern, str(e))],
                          lambda: f"event {pattern!r}; there are {read_events(self.drive)}", limit)[-1]


def render_reg(values):
    """HTTP.sys parameters as a registry export: {name: number or text}."""
    lines = ["Windows Registry Editor Version 5.00", "",
             r"[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\HTTP\Parameters]"]
    for name, value in values.items():
        if isinstance(value, int):
            lines.append(f'"{name}"=dword:{value:08x}')
        else:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'"{name}"="{escaped}"')
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


# --- a network of its own, for clients that are not local ---

REMOTE_SERVER, REMOTE_CLIENT = "192.0.2.1", "192.0.2.9"


def enter_private_network():
    """Gives the calling process a network namespace where 192.0.2.0/24 lives on the loopback device."""
    import fcntl
    import struct
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        def address_request(name, address):
            return struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)) + b"\0" * 8
        up = struct.pack("16sH22x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(control, 0x8914, up)                                          # SIOCSIFFLAGS
        fcntl.ioctl(control, 0x8916, address_request(b"lo:1", REMOTE_SERVER))     # SIOCSIFADDR
        fcntl.ioctl(control, 0x891C, address_request(b"lo:1", "255.255.255.0"))   # SIOCSIFNETMASK


def connect_in_network_of(pid, address, source, timeout):
    """A TCP connection made inside the network namespace of a process."""
    result = []

    def work():
        libc = ctypes.CDLL(None, use_errno=True)
        handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(handle, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            if source:
                sock.bind((source, 0))
            sock.connect(address)
            result.append(sock)
        except OSError as error:
            result.append(error)
        finally:
            os.close(handle)
    thread = threading.Thread(target=work)    # setns changes only the thread that calls it
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def can_have_private_network():
    """Whether a network namespace may be made here (root, mostly)."""
    pid = os.fork()
    if pid == 0:
        try:
            enter_private_network()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
