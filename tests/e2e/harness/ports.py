"""Free ports that stay free: no two runs side by side are given the same one, and no client either.

Configuration files name their ports, so those cannot be asked of the kernel by the server itself. Stands
alone, because the benchmarks use it as well.
"""
import atexit
import os
import pathlib
import socket

BLOCK = 50
_claims = []                              # sockets whose names say that a block is ours; they end with the process
_mine = []                                # ports of our blocks that have not been given yet


def _candidates():
    """Ports outside the range the kernel gives to clients, as far as it leaves any."""
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for first, last in ((10000, low - 1), (high + 1, 65000)):
        if last - first > 5000:
            return first, min(last, first + 30000)
    return 10000, 40000


def _claim_block():
    """Takes a block of ports for this process. An abstract name is bound to one process, and to one network."""
    first, last = _candidates()
    blocks = range(first // BLOCK + 1, last // BLOCK)
    start = int.from_bytes(os.urandom(4), "big") % len(blocks)
    for block in [*blocks[start:], *blocks[:start]]:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0candor-test-ports-{block}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        atexit.register(claim.close)
        _mine.extend(range(block * BLOCK, (block + 1) * BLOCK))
        return
    raise AssertionError("no free block of ports")


def free_port():
    """A port that nobody uses and that nobody else is given while this process lives."""
    while True:
        if not _mine:
            _claim_block()
        port = _mine.pop(0)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
