"""The status catalogue promises that the codes marked as produced are produced: each must have shown
up in a log while the other files ran, by its true cause.
"""
import json
import os
import pathlib
import subprocess

import pytest

from harness import reached
from harness.server import BINARY

HERE = pathlib.Path(__file__).parent


def catalogue():
    done = subprocess.run([str(BINARY), "catalogue", "--format", "json"], capture_output=True, text=True,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"), timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def whole_suite(request):
    """True when the other files ran as well: here, or before this process by tests/run."""
    if os.environ.get("CANDOR_REACHED"):
        return True
    files = {item.path.name for item in request.session.items}
    return files >= {p.name for p in HERE.glob("test_*.py")}


def normal(code):
    """404 -> 404.0; s-reasons stay as they are."""
    return code + ".0" if code.isdigit() else code


def test_every_produced_row_was_reached(request):
    if not whole_suite(request):
        pytest.skip("needs the whole suite (tests/run)")
    found = {code for _, code in reached.everything()}
    rows = catalogue()
    produced = [row["code"] for row in rows if row["produced"]]
    assert len(produced) > 60
    missing = [code for code in produced if normal(code) not in found and code not in found]
    assert not missing, f"claimed as produced, reached by no test: {missing}"


def test_nothing_unknown_was_reached(request):
    """What the logs show must have a row."""
    if not whole_suite(request):
        pytest.skip("needs the whole suite (tests/run)")
    known = {normal(row["code"]) for row in catalogue()}
    seen = {code for kind, code in reached.everything() if kind in ("iis", "httperr")}
    assert seen <= known, sorted(seen - known)


def test_rows_are_complete():
    rows = catalogue()
    codes = [row["code"] for row in rows]
    assert len(set(codes)) == len(codes)
    assert {"404.8", "500.19", "QueueFull", "Timer_HeaderWait"} <= set(codes)
