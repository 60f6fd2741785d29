"""Tables of requests: each row is sent once, its answer and its log record are judged by a test of its own.

All rows are sent before the first judgement, so a file waits for the log once and not for each row.
"""
import dataclasses

from . import transport as transports
from .logs import read_w3c
from .server import wait_until


@dataclasses.dataclass
class Case:
    name: str
    target: str
    code: str                             # "200" or STATUS.SUBSTATUS
    method: str = "GET"
    headers: object = ()
    body: bytes = None
    win32: int = None                     # sc-win32-status, when the reference is sure of it
    host: str = None
    site: str = None
    has: tuple = ()                       # (header, value) pairs the answer must carry
    hasnt: tuple = ()                     # headers the answer must not carry
    text: object = None                   # bytes the body must hold
    version: str = "1.1"
    logged: bool = True
    expect: dict = dataclasses.field(default_factory=dict)   # more log columns

    @property
    def full_code(self):
        return self.code if "." in self.code else self.code + ".0"


class Outcomes:
    def __init__(self, server, cases, transport=transports.PLAIN):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names), "case names must differ"
        self.server = server
        self.answers = {}
        self.tags = {}
        for number, case in enumerate(cases):
            tag = f"case={number}"
            target = case.target
            if case.logged:
                target += ("&" if "?" in target else "?") + tag
                self.tags[case.name] = tag
            self.answers[case.name] = transports.request(
                server, transport, case.method, target, case.headers, case.body, case.host, case.site, case.version)

    def record(self, name):
        """The log record of a row, found by the tag in its query."""
        tag = self.tags[name]

        def find():
            return [r for r in read_w3c(self.server.drive) if r["cs-uri-query"].split("&")[-1] == tag]
        return wait_until(find, f"log record with {tag}")[-1]

    def judge(self, case):
        answer = self.answers[case.name]
        status, _, sub = case.full_code.partition(".")
        assert answer.status == int(status), answer
        if answer.status >= 400:
            assert answer.code == case.full_code, answer.head
        assert answer.get("Server") == "Microsoft-IIS/10.0", answer.head
        for name, value in case.has:
            assert answer.get(name) == value, f"{name}: {answer.all(name)}, {value} wanted"
        for name in case.hasnt:
            assert answer.get(name) is None, f"{name}: {answer.all(name)} not wanted"
        if case.text is not None:
            if case.method == "HEAD":
                assert answer.body == b""
            else:
                assert case.text in answer.body, answer.body[:2000]
        if case.logged:
            record = self.record(case.name)
            want = {"sc-status": status, "sc-substatus": sub, "cs-method": case.method, **case.expect}
            if case.win32 is not None:
                want["sc-win32-status"] = str(case.win32)
            assert {k: record[k] for k in want} == want
        return answer
