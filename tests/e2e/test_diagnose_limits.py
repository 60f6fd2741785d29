"""Input that is large, endless, growing or hostile: candor diagnose stays within its memory and says what it left out."""
import gzip
import itertools
import json
import pathlib
import subprocess
import tempfile
import threading
import zlib

import pytest

from harness.server import BINARY

MIB = 1 << 20
FIELDS = "#Fields: date time c-ip cs-method cs-uri-stem sc-status sc-substatus sc-win32-status time-taken\n"
SANITIZED = b"__asan_init" in pathlib.Path(BINARY).read_bytes()
pytestmark = pytest.mark.smoke  # the optimised build is the one whose memory is measured


def record(i, url="/a", client="192.0.2.7", status="200 0 0", ms=15):
    return f"2026-03-14 {8 + i // 3600 % 12:02}:{i // 60 % 60:02}:{i % 60:02} {client} GET {url} {status} {ms}\n"


# A process starts with the largest size that its parent ever had: this one is small.
MEASURED = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def diagnose(*arguments, stdin=None, memory_mib=512, code=0):
    """The report, and no more memory than that. Sanitizers need several times as much: not measured there."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.NamedTemporaryFile("r") as size:
        process = subprocess.run(["/usr/bin/python3", "-c", MEASURED, size.name, BINARY, "diagnose", "--format", "json",
                                  *map(str, arguments)], stdin=stdin, stdout=out, stderr=err)
        out.seek(0)
        err.seek(0)
        message = err.read()
        assert process.returncode == code, message
        assert b"Sanitizer" not in message and b"runtime error" not in message, message
        if not SANITIZED:
            assert int(size.read()) / 1024 <= memory_mib
        return json.loads(out.read())


def long_line(write):
    write((FIELDS + record(1)).encode())
    for _ in range(100):
        write(b"x" * MIB)
    write(("\n" + record(2, status="404 0 2")).encode())


@pytest.mark.parametrize("how", ["file", "gzip", "pipe"])
def test_line_of_100_megabytes(tmp_path, how):
    path = tmp_path / "u_ex.log"
    with (gzip.open(path, "wb", 1) if how == "gzip" else open(path, "wb")) as f:
        long_line(f.write)
    if how == "pipe":
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            d = diagnose("-", stdin=cat.stdout, memory_mib=100)
    else:
        d = diagnose(path, memory_mib=100)
    i = d["inputs"][0]
    assert (i["records"], i["lines"], i["not_understood"]) == (2, 4, 1)
    assert (d["totals"]["status_2xx"], d["totals"]["status_4xx"]) == (1, 1)
    assert i["not_understood_samples"][0]["line"] == 3


def test_file_that_grows_while_it_is_read(tmp_path):
    """Whole lines only, as many as there were at some moment; the torn end is no error."""
    path = tmp_path / "u_ex.log"
    path.write_text(FIELDS + "".join(record(i) for i in range(200_000)))
    written, stop = [200_000], threading.Event()

    def append():
        with open(path, "ab", buffering=0) as f:
            for i in itertools.count():
                data = "".join(record(i + k) for k in range(50)).encode()
                f.write(data[:-20])  # now the file ends within a line
                f.write(data[-20:])
                written[0] += 50
                if stop.wait(0.0005):
                    return

    writer = threading.Thread(target=append)
    writer.start()
    try:
        reports = [diagnose(path) for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    seen = [d["inputs"][0]["records"] for d in reports]
    assert seen == sorted(seen) and 200_000 <= seen[0] and seen[-1] <= written[0]
    for d in reports:
        i = d["inputs"][0]
        assert (i["not_understood"], i.get("problem"), i["refitted"]) == (0, None, 0)
        assert d["totals"]["status_2xx"] == i["records"] == i["lines"] - 1
    assert diagnose(path)["inputs"][0]["records"] == written[0]


def test_endless_pipe(tmp_path):
    """A hundred megabytes by a pipe, in pieces of odd sizes, packed and not."""
    lines = (FIELDS + "".join(record(i, f"/p{i % 9}") for i in range(10_000))).encode()
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(lines) for _ in range(150)) + packer.flush()
    path = tmp_path / "many.gz"
    path.write_bytes(packed)
    for program in (["cat", path], ["gzip", "-dc", path]):
        with subprocess.Popen(program, stdout=subprocess.PIPE) as feed:
            d = diagnose("-", stdin=feed.stdout, memory_mib=100)
        assert d["totals"]["requests"] == 1_500_000 and d["inputs"][0]["not_understood"] == 0


def bomb(path):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress((FIELDS + record(1)).encode())
    zeros = b" " * (4 * MIB)
    path.write_bytes(head + b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush())


def test_gzip_bomb(tmp_path):
    bomb(tmp_path / "bomb.gz")
    i = diagnose(tmp_path / "bomb.gz", memory_mib=100)["inputs"][0]
    assert i["records"] == 1 and "250-fold" in i["problem"] and i["bytes"] < 300 * MIB


def test_ten_thousand_statuses(tmp_path):
    path = tmp_path / "u_ex.log"
    path.write_text(FIELDS + "".join(record(i, status=f"{100 + i % 900} {i // 900} {i % 7}") for i in range(10_000)))
    d = diagnose(path, memory_mib=128)
    assert len(d["by_status"]) == 10_000 and d["totals"]["requests"] == 10_000


def letters(i):
    """A name without digits, which nothing folds."""
    out = ""
    while True:
        out += "bcfghjklmnpqrstvwz"[i % 18]
        i //= 18
        if i == 0:
            return out


def test_two_million_urls_and_clients(tmp_path):
    """What is frequent stays, with bounds that hold; the number of what is not is an estimate."""
    path = tmp_path / "u_ex.log"
    count = 2_000_000
    with open(path, "w") as f:
        f.write(FIELDS)
        for i in range(count):
            f.write(f"2026-03-14 08:{i // 60000:02}:{i // 1000 % 60:02} 2001:db8::{i >> 16:x}:{i & 0xFFFF:x} GET "
                    f"/{letters(i)} {200 if i % 3 else 404} 0 0 15\n")
            if i % 100 == 0:
                f.write(f"2026-03-14 08:{i // 60000:02}:{i // 1000 % 60:02} 192.0.2.7 GET /often 200 0 0 15\n")
    d = diagnose(path, "--top", "20", memory_mib=256)
    assert d["totals"]["requests"] == count + count // 100
    # Each run draws its own key; one estimate in 16,000 misses by more than its bound.
    for figure in ("urls", "clients"):
        error = d["totals"][f"{figure}_error"]
        assert abs(d["totals"][figure] - count) <= error <= count * 0.017
    for rows, name, key in ((d["urls"], "/often", "url"), (d["clients"], "192.0.2.7", "client")):
        row = rows[0]
        assert row[key] == name
        assert row["count"] <= count // 100 <= row["count"] + row.get("count_error", 0)
    assert sum(r["count"] for r in d["by_status"]) == count + count // 100
    # Tables are divided among threads: as many as there may be need no more than the limit.
    assert diagnose(path, "--threads", "64", memory_mib=512)["totals"]["requests"] == count + count // 100


def test_paces_of_many_urls(tmp_path):
    """More URLs than there is room to follow: the one that costs most is followed all the same."""
    path = tmp_path / "u_ex.log"
    with open(path, "w") as f:
        f.write(FIELDS)
        for i in range(30_000):
            f.write(record(i, f"/{letters(i)}", ms=3))
            if i % 20 == 0:
                f.write(record(i, "/reports/daily", ms=100 if i < 15_000 else 6000))
    (slower,) = diagnose(path, "--threads", "1")["latency"]["slower"]
    assert slower["url"] == "/reports/daily"
    assert slower["before"]["count"] + slower["after"]["count"] == 1500
