"""Fixtures of the end-to-end tests. Every server is judged when it stops: see harness/server.py."""
import os
import resource
import socket

import pytest

from harness import AppHost, Server, Site, reached
from harness import server as server_module
from harness.tls import Authority

LAST = "test_catalogue.py"


def pytest_configure(config):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))      # as the server does it for itself
    config.addinivalue_line("markers", "smoke: part of the short run on the optimised build")
    config.addinivalue_line("markers", "root: needs to be run as root")
    config.addinivalue_line("markers", "ipv6: needs the address ::1")
    config.addinivalue_line("markers", "descriptors(n): needs that many open files in one process")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: item.path.name == LAST)      # stable: the others keep their order
    ipv6, limit = has_ipv6(), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("ipv6") and not ipv6:
            item.add_marker(pytest.mark.skip(reason="needs IPv6"))
        wanted = item.get_closest_marker("descriptors")
        if wanted and limit < wanted.args[0]:
            item.add_marker(pytest.mark.skip(reason=f"needs {wanted.args[0]} descriptors, {limit} are allowed"))


def pytest_sessionstart(session):
    assert server_module.BINARY.exists(), f"{server_module.BINARY} is not built (or set CANDOR_BIN)"


class Servers:
    """Makes servers and, at the end of its scope, stops and judges them all."""

    def __init__(self):
        self.made = []

    def __call__(self, config=None, start=True, **more):
        server = Server(config=config, **more)
        self.made.append(server)
        if start:
            server.start()
        return server

    def sites(self, *sites, **more):
        """A server with an applicationHost.config of these sites (one default site when none)."""
        takes = ("files", "reg", "arguments", "environment", "private_network", "rlimits", "start",
                 "as_user", "binary")
        server = {key: more.pop(key) for key in list(more) if key in takes}
        return self(config=AppHost(sites=list(sites) or [Site()], **more), **server)

    def running(self):
        return [s for s in self.made if s.process is not None]

    def finish(self):
        problems = []
        for server in self.made:
            try:
                problems += server.stop()
                reached.record(server.drive)
            except Exception as error:    # noqa: BLE001 - the others must be stopped as well
                problems.append(f"{type(error).__name__}: {error}")
                if server.process is not None:
                    server.destroy()
            if not problems or "CANDOR_KEEP" not in os.environ:
                server.remove()
        return problems


_living = []


def _scope():
    servers = Servers()
    _living.append(servers)
    yield servers
    _living.remove(servers)
    problems = servers.finish()
    if problems:
        pytest.fail("universal end check:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def servers():
    """Servers that live for one test."""
    yield from _scope()


@pytest.fixture(scope="module")
def module_servers():
    """Servers shared by the tests of a file."""
    yield from _scope()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Makes the certificates of a file's tests."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def universal_check(request):
    """After each test: every server still runs and has reported nothing."""
    server_module.current_test = request.node.name
    yield
    problems = []
    for scope in _living:
        for server in scope.running():
            problems += server.problems_now()
    if problems:
        pytest.fail("universal check:\n" + "\n".join(problems), pytrace=False)
