"""Readers for what the server writes: W3C site logs, HTTPERR, events."""
import json
import pathlib


def _w3c_blocks(text):
    """Rows of W3C text as dicts; the field list may change in mid-file."""
    fields = None
    for line in text.split("\r\n"):
        if line.startswith("#Fields: "):
            fields = line[len("#Fields: "):].split(" ")
        elif line and not line.startswith("#"):
            assert fields, f"a record before any #Fields line: {line!r}"
            values = line.split(" ")
            assert len(values) == len(fields), f"{len(fields)} fields promised: {line!r}"
            yield dict(zip(fields, values))


def _whole_lines(path):
    """The text of a file up to its last complete line."""
    data = path.read_bytes()
    return data[:data.rfind(b"\n") + 1].decode("utf-8", "surrogateescape")


def read_w3c(drive, site="*"):
    """Every record of the site's W3C logs, oldest file first."""
    rows = []
    for path in sorted(pathlib.Path(drive).glob(f"inetpub/logs/LogFiles/W3SVC{site}/u_ex*.log")):
        rows += _w3c_blocks(_whole_lines(path))
    return rows


def read_httperr(drive):
    rows = []
    folder = pathlib.Path(drive) / "Windows" / "System32" / "LogFiles" / "HTTPERR"
    for path in sorted(folder.glob("h*.log"), key=lambda p: (len(p.name), p.name)):
        rows += _w3c_blocks(_whole_lines(path))
    return rows


def read_events(drive):
    path = pathlib.Path(drive) / "inetpub" / "logs" / "events.log"
    if not path.exists():
        return []
    return [json.loads(line) for line in _whole_lines(path).splitlines()]
