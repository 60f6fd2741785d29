"""Logs of other projects' test suites, which are not part of this repository: what those projects expect of each
record must come out here too. CANDOR_CORPUS names a folder with logs and, beside each, NAME.expected.json: a list of
records (or {"expected": list}) in the Elastic Common Schema, nested or with dots in the names.

Every record is found by its time: the log is read once for each second that a record is of, with --since and --until,
so a value that is read from the wrong column, or of the wrong record, shows."""
import json
import os
import pathlib
import re
import subprocess
from collections import Counter

import pytest

from harness.server import BINARY

ROOT = pathlib.Path(os.environ["CANDOR_CORPUS"]) if os.environ.get("CANDOR_CORPUS") else None
SUFFIX = ".expected.json"
CASES = sorted(ROOT.rglob("*" + SUFFIX)) if ROOT else []

pytestmark = pytest.mark.skipif(not CASES, reason="CANDOR_CORPUS does not name a folder with logs and expected results")


def flat(value, prefix=""):
    """{"a": {"b": 1}} and {"a.b": 1} are the same."""
    if not isinstance(value, dict):
        return {prefix: value}
    out = {}
    for name, inner in value.items():
        out.update(flat(inner, f"{prefix}.{name}" if prefix else name))
    return out


def diagnose(log, *options):
    done = subprocess.run([BINARY, "diagnose", "--format", "json", "--top", "1000", *options, "--", log],
                          capture_output=True, timeout=60, check=False)
    assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def folded(path):
    """A path as the report counts it."""
    guid = r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
    out = []
    for segment in path.split("/"):
        segment = re.sub(f"^{guid}$", "{guid}", segment, flags=re.I)
        out.append("{n}" if re.fullmatch("[0-9]+", segment) else segment)
    return "/".join(out).lower()


def first(value):
    """Several values that some other program found in one place are the same value."""
    if isinstance(value, list):
        assert len(set(value)) == 1
        return value[0]
    return value


def number(record, name):
    return int(record.get(name) or 0)


def compare_requests(records, report):
    want = Counter()
    for r in records:
        substatus = number(r, "iis.access.sub_status")
        want[f"{r['http.response.status_code']}.{substatus}", number(r, "iis.access.win32_status")] += 1
    got = Counter()
    for row in report["by_status"]:
        got[row["code"] if "." in row["code"] else row["code"] + ".0", row["win32"]] += row["count"]
    assert got == want
    assert report["totals"]["requests"] == len(records)
    assert report["totals"]["bytes_sent"] == sum(number(r, "http.response.body.bytes") for r in records)
    assert report["totals"]["bytes_received"] == sum(number(r, "http.request.body.bytes") for r in records)
    taken = [r["event.duration"] // 1_000_000 for r in records if "event.duration" in r]
    assert report["latency"]["count"] == len(taken)
    if taken:
        assert report["latency"]["max_ms"] == max(taken)
    sites = Counter(r.get("iis.access.site_name") for r in records if r.get("iis.access.site_name"))
    assert {s["site"]: s["requests"] for s in report["sites"] if s["site"]} == dict(sites)


def compare_errors(records, report):
    want = Counter((r["iis.error.reason_phrase"], number(r, "http.response.status_code")) for r in records)
    got = Counter()
    for row in report["by_reason"]:
        got[row["reason"], row["status"] or 0] += row["count"]
    assert got == want
    assert report["totals"]["httperr_records"] == len(records)


def compare(records, report):
    if any("iis.error.reason_phrase" in r for r in records):
        compare_errors(records, report)
    else:
        compare_requests(records, report)
    clients = Counter(first(r["source.address"]) for r in records if r.get("source.address"))
    assert {c["client"]: c["count"] for c in report["clients"]} == dict(clients)
    paths = Counter(folded(r.get("url.path") or r["url.original"]) for r in records if r.get("url.original"))
    assert {u["url"].lower(): u["count"] for u in report["urls"]} == dict(paths) or not report["totals"]["requests"]


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name.removesuffix(SUFFIX))
def test_expected(case):
    log = case.with_name(case.name.removesuffix(SUFFIX))
    expected = json.loads(case.read_text())
    records = [flat(r) for r in (expected["expected"] if isinstance(expected, dict) else expected)]
    whole = diagnose(log)
    (given,) = whole["inputs"]
    assert (given["records"], given["not_understood"]) == (len(records), 0)
    compare(records, whole)
    times = sorted({r["@timestamp"] for r in records})
    assert (whole["totals"]["first"][:19], whole["totals"]["last"][:19]) == (times[0][:19], times[-1][:19])
    for time in times:
        second = time[:19] + "Z"
        compare([r for r in records if r["@timestamp"][:19] == time[:19]],
                diagnose(log, "--since", second, "--until", second))


ASSERTIONS = sorted(ROOT.rglob("*.expected.assert")) if ROOT else []


@pytest.mark.parametrize("case", ASSERTIONS, ids=lambda p: p.name.removesuffix(".expected.assert"))
def test_assertions(case):
    """The other form of expectations: results["STAGE"]["PARSER"][N].Evt.Meta["NAME"] == "VALUE", for one record."""
    meta = dict(re.findall(r'\.Evt\.Meta\["(\w+)"\] == "(.*)"$', case.read_text(), re.M))
    assert {"http_status", "timestamp", "source_ip", "http_path"} <= set(meta)
    d = diagnose(case.with_name(case.name.removesuffix(".expected.assert")))
    (given,) = d["inputs"]
    assert (given["kind"], given["records"], given["not_understood"]) == ("w3c", 1, 0)
    assert d["by_status"][0]["code"].split(".")[0] == meta["http_status"]
    assert d["totals"]["first"] == meta["timestamp"]
    assert d["clients"][0]["client"] == meta["source_ip"]
    assert d["urls"][0]["url"] == meta["http_path"]
    assert d["sites"][0]["site"] == meta.get("target_fqdn", d["sites"][0]["site"])
