#!/usr/bin/python3
"""Turns the tables of FTP codes, error codes and log fields (text/*.tbl) into C.

    gen_text.py OUT.c TABLE...

Any mistake in a table ends the build with FILE:LINE: what is wrong. The format is that of
status/common.tbl; which fields a row of which kind has is said here, in KINDS.
"""
import sys

sys.dont_write_bytecode = True  # the build leaves nothing in the source tree
# pylint: disable=wrong-import-position
from tbl import (add_advice, c_list, c_string, c_string_or_null, check_xml, fail, look_up,
                 read_definition, read_entries)

VERSIONS = {
    "5": "IIS 4.0 and 5.0",
    "6": "IIS 6.0 and later",
    "7": "FTP 7.0 and later (IIS 7.0 and later)",
    "8.5": "IIS 8.5 and later",
    "all": "all versions",
    "api1": "HTTP API 1.0 (Windows Server 2003) and later",
    "2016": "Windows Server 2016 and later",
    "2019": "Windows Server 2019 and later",
    "new": "current versions of Windows",
}
ADVICE = ("cause", "fix", "win", "own", "set")

# Key of the table: member of the C struct. A text is required unless it is in "optional".
FTP = {
    "file": "tables/ftp.h", "struct": "ftp_row", "heading": "code name",
    "texts": {"title": "title", "text": "text", "when": "when", "sent": "sent", "try": "reproduce",
              "run": "command", "note": "note"},
    "optional": {"when", "sent", "run", "note"},
    "lists": {"versions": "versions", "cause": "causes", "fix": "remedies", "win": "on_windows",
              "own": "on_candor", "set": "settings", "from": "sources"},
    "numbers": {"with": "replies"},
}
KINDS = {
    "reply": {**FTP, "data": "ftp_replies"},
    "substatus": {**FTP, "data": "ftp_substatuses"},
    "error": {
        "file": "tables/win32.h", "struct": "win32_row", "heading": "code name", "data": "win32_rows",
        "texts": {"text": "text", "where": "where"}, "optional": {"where"},
        "lists": {"cause": "causes", "fix": "remedies", "win": "on_windows", "own": "on_candor"},
        "numbers": {},
    },
    "field": {
        "file": "tables/log_field_text.h", "struct": "log_field_text", "heading": "name",
        "data": "log_field_texts",
        "texts": {"title": "title", "text": "text", "note": "note"}, "optional": {"note"},
        "lists": {"log": "logs", "versions": "versions", "fix": "remedies", "from": "sources"},
        "numbers": {},
    },
}
LOGS = {
    "w3c": "the site's log in W3C format",
    "ftp": "the FTP site's log",
    "httperr": "HTTPERR",
    "iis": "the site's log in IIS format, as one of its fixed columns",
}


def parse_heading(path, at, words, kind):
    """The row's own names: {} of C member and value, and what it is sorted by."""
    wanted = kind["heading"].split()
    if len(words) != len(wanted) + 1:
        fail(path, at, f"write {words[0]} {kind['heading']}")
    head = dict(zip(wanted, words[1:]))
    if "code" not in head:
        return head, head["name"].lower()
    try:
        head["code"] = int(head["code"], 16 if head["code"].startswith("0x") else 10)
    except ValueError:
        fail(path, at, f"{head['code']} is no number")
    return head, head["code"]


def parse_row(path, at, words, fields, sources):
    kind = KINDS[words[0]]
    head, order = parse_heading(path, at, words, kind)
    row = {"kind": words[0], "head": head, "order": order, "where": f"{path}:{at}",
           **{key: None for key in kind["texts"]}, **{key: [] for key in kind["lists"]},
           **{key: [] for key in kind["numbers"]}}
    for line, key, value in fields:
        if key == "versions":
            row[key] = look_up(path, line, "version", value, VERSIONS)
        elif key == "from":
            row[key] = look_up(path, line, "source", value, sources)
        elif key == "log":
            row[key] += look_up(path, line, "log", value, LOGS)
        elif key in kind["numbers"]:
            row[key] = value.split()
            if not all(n.isdecimal() and int(n) <= 65535 for n in row[key]):
                fail(path, line, f"{key} is a list of numbers")
        elif key == "xml" or key in kind["lists"]:
            add_advice(path, line, row, key, value)
        elif key not in kind["texts"] or row[key] is not None:
            fail(path, line, f"{key} is unknown or given twice")
        else:
            row[key] = value
    for key in kind["texts"]:
        if row[key] is None and key not in kind["optional"]:
            fail(path, at, f"{key} is missing")
    for fix in row.get("fix", []):
        check_xml(path, at, fix.partition("\n")[2])
    return row


def read_tables(paths):
    """The rows of each kind, in order."""
    rows, sources, later = {kind: {} for kind in KINDS}, {}, []
    for path in paths:
        for at, words, fields in read_entries(path):
            if words[0] in ("source", "reason"):
                read_definition(path, at, words, fields, sources, {})
            elif words[0] in KINDS:
                later.append((path, at, words, fields))
            else:
                fail(path, at, f"{words[0]} is no kind of row")
    for path, at, words, fields in later:
        row = parse_row(path, at, words, fields, sources)
        same = rows[words[0]].setdefault(row["order"], row)
        if same is not row:
            fail(path, at, f"{' '.join(words[:2])} is already at {same['where']}")
    return {kind: [found[key] for key in sorted(found)] for kind, found in rows.items()}


def c_row(row, number):
    """The lists of a row, and its initialiser."""
    kind = KINDS[row["kind"]]
    symbol = f"{kind['data']}_{number}"
    lists = "".join(c_list(symbol, key, row[key]) for key in kind["lists"])
    out = "    {\n"
    for member, value in row["head"].items():
        out += f"        .{member} = {value if member == 'code' else c_string(value)},\n"
    for key, member in kind["texts"].items():
        out += f"        .{member} = {c_string_or_null(row[key])},\n"
    for key, member in kind["lists"].items():
        out += f"        .{member} = {symbol}_{key},\n"
    for key, member in kind["numbers"].items():
        lists += f"static const uint16_t {symbol}_{key}[] = {{ {', '.join([*row[key], '0'])} }};\n"
        out += f"        .{member} = {symbol}_{key},\n"
    return lists, out + "    },\n"


def write_c(rows, path):
    with open(path, "w", encoding="ascii") as c:
        c.write("/* Written by gen_text.py from the folder text. */\n")
        for file in sorted({kind["file"] for kind in KINDS.values()} | {"tables/text_data.h"}):
            c.write(f'#include "{file}"\n')
        for name, found in rows.items():
            kind = KINDS[name]
            made = [c_row(row, i) for i, row in enumerate(found)]
            c.write("\n" + "".join(lists for lists, _ in made))
            c.write(f"\nconst struct {kind['struct']} {kind['data']}[] = {{\n")
            c.writelines(row for _, row in made)
            c.write(f"}};\nconst size_t {kind['data']}_count = {len(found)};\n")


def main(args):
    if len(args) < 3:
        sys.exit(__doc__)
    rows = read_tables(args[2:])
    for kind, found in rows.items():
        if not found:
            sys.exit(f"no row of kind {kind} in {' '.join(args[2:])}")
    write_c(rows, args[1])


main(sys.argv)
