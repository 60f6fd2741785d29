"""Which status codes and s-reasons this run has really produced, gathered from the logs on disk.

Several pytest processes add to one folder (CANDOR_REACHED); test_catalogue.py reads it at the end.
"""
import os
import pathlib

from .logs import read_httperr, read_w3c

_own = set()


def codes_of(drive):
    """("iis", "404.8") and ("httperr", "Verb") pairs found in the logs below a system drive."""
    found = set()
    for reader, kind in ((read_w3c, "iis"), (read_httperr, "httperr")):
        try:
            rows = reader(drive)
        except (AssertionError, UnicodeDecodeError):
            continue                      # a log that a test has damaged on purpose
        for row in rows:
            if kind == "iis" and "sc-status" in row and "sc-substatus" in row:
                found.add(("iis", f"{row['sc-status']}.{row['sc-substatus']}"))
            elif kind == "httperr":
                found.add(("httperr", row["s-reason"]))
                found.add(("httperr-status", row["sc-status"]))
    return found


def record(drive):
    add(codes_of(drive))


def add(pairs):
    """Also for what shows in no log: interim answers, responses a test has read itself."""
    _own.update(pairs)
    folder = os.environ.get("CANDOR_REACHED")
    if folder:
        path = pathlib.Path(folder) / str(os.getpid())
        path.write_text("".join(f"{kind} {code}\n" for kind, code in sorted(_own)))


def everything():
    found = set(_own)
    folder = os.environ.get("CANDOR_REACHED")
    if folder:
        for path in pathlib.Path(folder).iterdir():
            found |= {tuple(line.split(" ", 1)) for line in path.read_text().splitlines()}
    return found
