"""What the attack tests share: the flooding programs of tests/attack, and what a server has grown by.

CANDOR_ATTACK=long runs the long forms (a million streams, a million connections, longer waits).
"""
import atexit
import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

from .apphost import Site
from .client import build
from .server import BINARY, TOP, make_drive, status_field, wait_until

LONG = os.environ.get("CANDOR_ATTACK") == "long"
SOURCES = TOP / "tests" / "attack"


def amount(short, long):
    return long if LONG else short


def is_sanitized(binary):
    return b"__asan_init" in pathlib.Path(binary).read_bytes()


def binaries():
    """The program under test and, for memory and latency, the optimised one beside it."""
    found = [BINARY]
    optimised = (TOP / "build" / "candor").resolve()
    if optimised.exists() and optimised != BINARY:
        found.append(optimised)
    return found


def binary_name(path):
    return path.parent.parent.name


@functools.lru_cache(maxsize=None)
def program(name, *libraries, sources=SOURCES):
    """Builds tests/attack/NAME.c (or one of another folder)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="candor-attack-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / name
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", path, sources / f"{name}.c",
                    *(f"-l{library}" for library in libraries)], check=True)
    return path


@functools.lru_cache(maxsize=None)
def certificate():
    """A self-signed certificate and its key, for all servers of the run."""
    folder = make_drive()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-out", files[0], "-keyout", files[1], "-days", "365", "-subj", "/CN=localhost"], check=True,
                   capture_output=True)
    files[1].chmod(0o600)
    return files


@dataclasses.dataclass
class TlsSite(Site):
    """A site with an https binding beside its plain one."""
    tls_port: int = 0

    def render(self):
        cert, key = certificate()
        binding = (f'<binding protocol="https" bindingInformation="127.0.0.1:{self.tls_port}:" '
                   f'certificateFile="{cert}" certificateKeyFile="{key}" />')
        return super().render().replace("</bindings>", binding + "</bindings>")


class Flood:
    """One running flood; numbers() waits for its end and gives the figures of its last line."""

    def __init__(self, command, stdin=False):
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def opened(self):
        """Waits for the line that says how many connections stand."""
        word, count = self.process.stdout.readline().split()
        assert word == "open"
        return int(count)

    def numbers(self, limit=600):
        out, err = self.process.communicate(timeout=limit)
        assert self.process.returncode == 0, f"the flood ended with {self.process.returncode}: {out}{err}"
        return [int(word) for word in out.split("\n")[-2].split()]


def plain(mode, server, *arguments, port=None):
    return Flood([program("flood"), mode, port or server.port, *arguments])


def tls(mode, port, count):
    return Flood([program("flood_tls", "ssl", "crypto"), mode, port, count])


def probe(server, path="/a.txt", seconds=4):
    """What a normal client sees for some seconds: (requests, errors, p50, p99, max) in microseconds."""
    with plain("probe", server, path, seconds) as one:
        return one.numbers()


class Meanwhile:
    """A normal client beside an attack: asks without pause, and must never see an error."""

    def __init__(self, server, path="/a.txt"):
        self.server, self.path = server, path
        self.served, self.failures, self.longest = 0, [], 0.0

    def __enter__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while not self._stop.is_set():
            try:
                requests, errors, _, _, longest = probe(self.server, self.path, 1)
            except AssertionError as error:
                self.failures.append(str(error))
                return
            self.served += requests
            self.longest = max(self.longest, longest / 1e6)
            if errors:
                self.failures.append(f"{errors} of {requests} requests failed")

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def check(self, longest):
        assert not self.failures, self.failures
        assert self.served > 0
        assert self.longest < longest, f"a normal client waited {self.longest:.2f} s"


def warm_up(server, path="/a.txt", count=300):
    """Every thread of the listener has served: what it needs once, and then keeps, is no growth."""
    conns = [server.connect() for _ in range(count)]
    for conn in conns:
        conn.send(build("GET", path))
    for conn in conns:
        assert conn.read().status == 200
        conn.close()


def private_kib(pid):
    return sum(int(status_field(pid, name).split()[0]) for name in ("RssAnon", "RssShmem"))


class Growth:
    """Memory and descriptors of listener and workers, now and later."""

    def __init__(self, server):
        self.server = server
        self.listener = server.find("listener")[0]
        self.memory, self.descriptors, self.files = private_kib(self.listener), *self._open()
        self.workers = {pid: private_kib(pid) for pid in server.find("worker")}

    def _open(self):
        """How many descriptors but of files, and of files: these stay with each thread that has sent them."""
        names = []
        for entry in os.listdir(f"/proc/{self.listener}/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(f"/proc/{self.listener}/fd/{entry}"))
        files = sum(name.startswith("/") for name in names)
        return len(names) - files, files

    def _are_back(self):
        descriptors, files = self._open()
        threads = len(os.listdir(f"/proc/{self.listener}/task"))
        return descriptors <= self.descriptors + 8 and files <= self.files + threads

    def check(self, kib, worker_kib=16384):
        """It is still the same listener, all descriptors are back, and memory stayed within the bound.

        Under sanitizers freed memory is kept aside, so there only the descriptors are judged.
        """
        assert self.server.find("listener") == [self.listener], "the listener was replaced"
        wait_until(self._are_back, lambda: f"{self._open()} descriptors and files in the listener, "
                                           f"{(self.descriptors, self.files)} before")
        if is_sanitized(self.server.binary):
            return
        grown = private_kib(self.listener) - self.memory
        print(f"listener grew by {grown} KiB")
        assert grown <= kib, f"the listener grew by {grown} KiB"
        for pid, before in self.workers.items():
            grown = private_kib(pid) - before
            assert grown <= worker_kib, f"worker {pid} grew by {grown} KiB"
