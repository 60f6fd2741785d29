#!/usr/bin/python3
"""The generator of the status catalogue refuses what is wrong, and the catalogue's own word about
what this server raises agrees with the source.

    test_tables_generator.py SOURCE_ROOT
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else ".").resolve()
GENERATOR = ROOT / "src/tables/gen_status.py"
TABLES = sorted((ROOT / "src/tables/status").glob("*.tbl"))

GOOD = """source doc A document
reason 404 Not Found
404.8 HIDDEN_SEGMENT
  title Hidden
  text A segment
      is hidden.
  by RequestFilteringModule
  log iis
  error 0 0x80070002
  versions 7
  now no
  try GET /bin/x
  from doc
404.8
  cause it is hidden
  fix remove it
  xml <a b="c" />
"""


def generate(text):
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "t.tbl"
        table.write_text(text, encoding="utf-8")
        c, h = pathlib.Path(folder) / "o.c", pathlib.Path(folder) / "o.h"
        run = subprocess.run(["/usr/bin/python3", GENERATOR, "c", c, h, table],
                             capture_output=True, text=True, check=False)
        if run.returncode:
            return None, run.stderr
        return c.read_text(encoding="ascii"), h.read_text(encoding="ascii")


class Generator(unittest.TestCase):
    def test_good_table(self):
        c, h = generate(GOOD)
        self.assertIn("extern const struct status_row st_404_8_hidden_segment;", h)
        self.assertIn('.text = "A segment is hidden."', c)
        self.assertIn(r'"remove it\n<a b=\"c\" />"', c)
        self.assertIn("{ 0x00000000, 0x80070002 }", c)
        self.assertIn(".produced = NULL", c)

    def test_mistakes(self):
        mistakes = {
            "unknown key": ("  title Hidden", "  titel Hidden", "t.tbl:4: titel"),
            "key twice": ("  log iis", "  log iis\n  log iis", "t.tbl:9: log"),
            "missing key": ("  by RequestFilteringModule\n", "", "t.tbl:3: by is missing"),
            "bad log": ("  log iis", "  log event", "t.tbl:3: log is one of"),
            "bad error": ("  error 0 ", "  error zero ", "t.tbl:3: error is a list"),
            "large error": ("0x80070002", "0x180070002", "t.tbl:3: an error code has 32 bits"),
            "bad version": ("  versions 7", "  versions 77", "t.tbl:3: version 77"),
            "bad source": ("  from doc", "  from dock", "t.tbl:3: source dock"),
            "no reason": ("reason 404", "reason 405", "t.tbl:3: no reason phrase"),
            "row twice": ("404.8\n", GOOD[GOOD.index("404.8 H"):GOOD.index("404.8\n")] + "404.8\n",
                          "t.tbl:14: 404.8 is already at"),
            "advice without row": ("404.8\n", "404.9\n", "t.tbl:14: 404.9 has no row"),
            "no advice": ("  cause it is hidden\n", "", "t.tbl:3: no cause or no fix"),
            "bad code": ("404.8\n", "404\n", "t.tbl:14: 404 is not a code"),
            "bad XML": ('<a b="c" />', '<a b="c">', "t.tbl:14: <a"),
            "not ASCII": ("it is hidden", "it is h\u00efdden", "t.tbl:15: only printable ASCII"),
            "empty value": ("  title Hidden", "  title", "t.tbl:4: title has no value"),
        }
        for name, (old, new, want) in mistakes.items():
            with self.subTest(name):
                self.assertIn(old, GOOD)
                c, error = generate(GOOD.replace(old, new, 1))
                self.assertIsNone(c)
                self.assertIn(want, error)


TEXTS = """source doc A document
reply 530 NOT_LOGGED_IN
  title Not logged in
  text The logon
      failed.
  with 421
  try log on
  cause a wrong password
  fix another one
  xml <a b="c" />
  versions 5 7
  from doc
substatus 8 HIDDEN
  title Hidden
  text A segment is hidden.
  with 550 530
  try fetch it
  versions 7
  from doc
error 0x80070021 E_LOCKED
  text Locked
field sc-status
  title Status
  text A number
  log w3c
  log httperr
  versions all
  from doc
"""


def generate_text(text):
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "t.tbl"
        table.write_text(text, encoding="utf-8")
        c = pathlib.Path(folder) / "o.c"
        run = subprocess.run(["/usr/bin/python3", GENERATOR.with_name("gen_text.py"), c, table],
                             capture_output=True, text=True, check=False)
        return (c.read_text(encoding="ascii"), "") if run.returncode == 0 else (None, run.stderr)


class TextGenerator(unittest.TestCase):
    def test_good_table(self):
        c, error = generate_text(TEXTS)
        self.assertEqual(error, "")
        self.assertIn('.text = "The logon failed."', c)
        self.assertIn(r'"another one\n<a b=\"c\" />"', c)
        self.assertIn("with[] = { 550, 530, 0 }", c)
        self.assertIn(".code = 2147942433", c)
        self.assertIn(".when = NULL", c)
        self.assertIn('"HTTPERR"', c)

    def test_mistakes(self):
        mistakes = {
            "unknown kind": ("error 0x", "errors 0x", "t.tbl:20: errors is no kind of row"),
            "unknown key": ("  try log on", "  tri log on", "t.tbl:7: tri"),
            "key twice": ("  try log on", "  try log on\n  try it", "t.tbl:8: try"),
            "missing key": ("  try log on\n", "", "t.tbl:2: try is missing"),
            "no code": ("reply 530", "reply five", "t.tbl:2: five is no number"),
            "no name": ("substatus 8 HIDDEN", "substatus 8", "t.tbl:13: write substatus code name"),
            "row twice": ("substatus 8", "reply 530", "t.tbl:13: reply 530 is already at"),
            "bad version": ("versions 5 7", "versions 5 77", "t.tbl:11: version 77"),
            "bad source": ("  from doc\nerror", "  from dock\nerror", "t.tbl:19: source dock"),
            "bad log": ("  log httperr", "  log event", "t.tbl:26: log event"),
            "bad list": ("with 421", "with many", "t.tbl:6: with is a list of numbers"),
            "xml without fix": ("  fix another one\n", "", "t.tbl:9: xml belongs to the fix"),
            "bad XML": ('<a b="c" />', '<a b="c">', "t.tbl:2: <a"),
            "kind without row": ("error 0x80070021 E_LOCKED\n  text Locked\n", "", "no row of kind error"),
        }
        for name, (old, new, want) in mistakes.items():
            with self.subTest(name):
                self.assertIn(old, TEXTS)
                c, error = generate_text(TEXTS.replace(old, new, 1))
                self.assertIsNone(c)
                self.assertIn(want, error)


class Produced(unittest.TestCase):
    """now is "no" exactly for the rows that no code names; the listener raises its own through the
    table of HTTPERR reasons."""

    def test_produced_rows(self):
        used = set()
        for path in (ROOT / "src").rglob("*.[ch]"):
            if (ROOT / "src/tables") not in path.parents:
                used |= set(re.findall(r"\bst_\d{3}_\d+_[a-z0-9_]+", path.read_text("utf-8")))
        for table in TABLES:
            rows = re.split(r"^(?=\d{3}\.\d+ [A-Z])", table.read_text("utf-8"), flags=re.M)[1:]
            for row in rows:
                code, name = row.split(None, 2)[:2]
                symbol = f"st_{code.replace('.', '_')}_{name.lower()}"
                now = re.search(r"^  now (.*)$", row, flags=re.M).group(1)
                with self.subTest(symbol):
                    if now == "no":
                        self.assertFalse(symbol in used, "raised, but its row says now no")
                    elif "listener" not in now and "response cache" not in now:
                        self.assertTrue(symbol in used, f"not raised, but its row says now {now}")


if __name__ == "__main__":
    unittest.main()
