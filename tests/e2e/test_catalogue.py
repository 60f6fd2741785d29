"""The status catalogue promises that the codes marked as produced are produced: each must have shown
up in a log while the other files ran, by its true cause. The listener's reasons likewise.
"""
import json
import os
import pathlib
import subprocess

import pytest

from harness import reached
from harness.listener_answers import ANSWERS
from harness.server import BINARY

HERE = pathlib.Path(__file__).parent
TIMERS = {"Timer_ConnectionIdle", "Timer_HeaderWait", "Timer_EntityBody", "Timer_MinBytesPerSecond", "Timer_ReqQueue"}


@pytest.fixture(scope="module")
def rows():
    done = subprocess.run([str(BINARY), "catalogue", "--format", "json"], capture_output=True, text=True,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"), timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def seen(request):
    """What the whole suite reached; it ran here, or before this process by tests/run."""
    files = {item.path.name for item in request.session.items}
    if not os.environ.get("CANDOR_REACHED") and not files >= {p.name for p in HERE.glob("test_*.py")}:
        pytest.skip("needs the whole suite (tests/run)")
    return reached.everything()


def test_every_produced_row_was_reached(rows, seen):
    produced = [row for row in rows if row["produced"]]
    assert len(produced) > 50

    def was_reached(row):
        if row["logged_in"] == "httperr" or row["produced"].startswith("listener"):
            return ("httperr-status", str(row["status"])) in seen
        return ("iis", row["code"]) in seen
    missing = [f"{row['code']} ({row['produced']})" for row in produced if not was_reached(row)]
    assert not missing, f"claimed as produced, reached by no test: {missing}"


def test_every_reason_of_the_listener_was_reached(seen):
    wanted = set(ANSWERS) | TIMERS | {"Connection_Abandoned_By_ReqQueue", "Client_Reset"}
    missing = wanted - {code for kind, code in seen if kind == "httperr"}
    assert not missing, sorted(missing)


def test_what_was_reached_has_a_row_that_says_so(rows, seen):
    produced = {row["code"] for row in rows if row["produced"]}
    unclaimed = {code for kind, code in seen if kind == "iis"} - produced
    assert not unclaimed, sorted(unclaimed)


def test_rows_are_complete(rows):
    codes = [row["code"] for row in rows]
    assert len(set(codes)) == len(codes) > 150
    for row in rows:
        assert row["code"] == f"{row['status']}.{row['substatus']}"
