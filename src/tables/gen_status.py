#!/usr/bin/python3
"""Turns the status catalogue (status/*.tbl) into C or into Markdown.

    gen_status.py c OUT.c OUT.h TABLE...
    gen_status.py md OUT.md TABLE...

The format is described at the top of status/common.tbl. Any mistake in it ends the build with
FILE:LINE: what is wrong.
"""
import re
import sys

sys.dont_write_bytecode = True  # the build leaves nothing in the source tree
# pylint: disable=wrong-import-position
from tbl import (add_advice, c_list, c_string, c_string_or_null, check_xml, fail, look_up,
                 read_definition, read_entries)

VERSIONS = {
    "5": "IIS 4.0 and 5.0",
    "6": "IIS 6.0",
    "7": "IIS 7.0 and later",
    "8": "IIS 8.0 and later",
    "10": "IIS 10.0",
    "ARR": "ARR 3.0.1916 and later",
    "ANCM": "ASP.NET Core Module",
    "iisnode": "iisnode",
    "all": "all versions",
    "-": "this server",
}
LOGS = {"iis": "STATUS_LOG_IIS", "httperr": "STATUS_LOG_HTTPERR", "none": "STATUS_LOG_NONE"}
ROW_KEYS = {"title", "text", "by", "log", "error", "versions", "now", "try", "run", "note", "from"}
ROW_REQUIRED = ROW_KEYS - {"note", "run"}
ADVICE_LISTS = ("cause", "fix", "win", "own", "set")
ADVICE_KEYS = {*ADVICE_LISTS, "xml"}
CODE = re.compile(r"^(\d{3})\.(\d{1,4})$")


def parse_code(path, line, text):
    match = CODE.match(text)
    if not match:
        fail(path, line, f"{text} is not a code; write 404.8, or 404.0 for the plain status")
    return int(match[1]), int(match[2])


def is_row(words):
    return len(words) == 2 and re.match(r"^[A-Z][A-Z0-9_]*$", words[1])


def parse_row(path, at, words, fields, sources):
    status, substatus = parse_code(path, at, words[0])
    row = {"status": status, "substatus": substatus, "note": None, "run": None,
           "where": f"{path}:{at}", **{key: [] for key in ADVICE_LISTS}}
    row["name"] = f"ST_{status}_{substatus}_{words[1]}"
    seen = set()
    for line, key, value in fields:
        if key not in ROW_KEYS or key in seen:
            fail(path, line, f"{key} is unknown or given twice")
        seen.add(key)
        row[key] = value
    for key in sorted(ROW_REQUIRED - seen):
        fail(path, at, f"{key} is missing")
    if row["log"] not in LOGS:
        fail(path, at, f"log is one of {', '.join(LOGS)}")
    try:
        row["error"] = [int(e, 16) if e.startswith("0x") else int(e) for e in row["error"].split()]
    except ValueError:
        fail(path, at, "error is a list of numbers")
    if any(e < 0 or e > 0xFFFFFFFF for e in row["error"]):
        fail(path, at, "an error code has 32 bits")
    row["versions"] = look_up(path, at, "version", row["versions"], VERSIONS)
    row["from"] = look_up(path, at, "source", row["from"], sources)
    if row["now"] == "no":
        row["now"] = None
    return row


def parse_advice(path, at, words, fields, rows):
    codes = [parse_code(path, at, w) for w in words]
    for code in codes:
        if code not in rows:
            fail(path, at, f"{code[0]}.{code[1]} has no row")
        if rows[code]["cause"]:
            fail(path, at, f"{code[0]}.{code[1]} has advice already")
    for line, key, value in fields:
        if key not in ADVICE_KEYS:
            fail(path, line, f"{key} is unknown")
        for code in codes:
            add_advice(path, line, rows[code], key, value)
    for fix in rows[codes[0]]["fix"]:
        check_xml(path, at, fix.partition("\n")[2])


def read_tables(paths):
    """The rows by (status, sub-status) and the reason phrases, from all files in any order."""
    rows, reasons, sources, later = {}, {}, {}, []
    for path in paths:
        for at, words, fields in read_entries(path):
            if words[0] in ("source", "reason"):
                read_definition(path, at, words, fields, sources, reasons)
            else:
                later.append((path, at, words, fields))
    for path, at, words, fields in later:
        if is_row(words):
            row = parse_row(path, at, words, fields, sources)
            code = (row["status"], row["substatus"])
            if code in rows:
                fail(path, at, f"{words[0]} is already at {rows[code]['where']}")
            if row["status"] not in reasons:
                fail(path, at, f"no reason phrase for {row['status']}")
            rows[code] = row
    for path, at, words, fields in later:
        if not is_row(words):
            parse_advice(path, at, words, fields, rows)
    for row in rows.values():
        if not row["cause"] or not row["fix"]:
            sys.exit(f"{row['where']}: no cause or no fix")
    return rows, reasons


def c_row(row, reasons):
    symbol = row["name"].lower()
    errors = ", ".join(f"0x{e:08x}" for e in row["error"])
    out = f"static const uint32_t {symbol}_errors[] = {{ {errors} }};\n"
    for key in ("versions", *ADVICE_LISTS, "from"):
        out += c_list(symbol, key, row[key])
    reason = c_string(reasons[row["status"]])
    fields = [
        ("status", row["status"]),
        ("substatus", row["substatus"]),
        ("log", LOGS[row["log"]]),
        ("hresults", f"{symbol}_errors"),
        ("hresult_count", len(row["error"])),
        ("reason", f"{{ {reason}, sizeof({reason}) - 1 }}"),
        ("code", c_string(f"{row['status']}.{row['substatus']}")),
        ("name", c_string(row["name"])),
        ("title", c_string(row["title"])),
        ("text", c_string(row["text"])),
        ("component", c_string(row["by"])),
        ("produced", c_string_or_null(row["now"])),
        ("reproduce", c_string(row["try"])),
        ("command", c_string_or_null(row["run"])),
        ("note", c_string_or_null(row["note"])),
        ("versions", f"{symbol}_versions"),
        ("causes", f"{symbol}_cause"),
        ("remedies", f"{symbol}_fix"),
        ("on_windows", f"{symbol}_win"),
        ("on_candor", f"{symbol}_own"),
        ("settings", f"{symbol}_set"),
        ("sources", f"{symbol}_from"),
    ]
    out += f"const struct status_row {symbol} = {{\n"
    out += "".join(f"    .{name} = {value},\n" for name, value in fields)
    return out + "};\n\n"


def write_c(rows, reasons, c_path, h_path):
    with open(h_path, "w", encoding="ascii") as h:
        h.write("/* Written by gen_status.py from the folder status. */\n"
                "#ifndef CANDOR_TABLES_STATUS_ROWS_H\n#define CANDOR_TABLES_STATUS_ROWS_H\n\n")
        for row in rows:
            h.write(f"extern const struct status_row {row['name'].lower()}; /* {row['title']} */\n")
        h.write("\n#endif\n")
    with open(c_path, "w", encoding="ascii") as c:
        c.write('/* Written by gen_status.py from the folder status. */\n'
                '#include "tables/status_data.h"\n\n')
        for row in rows:
            c.write(c_row(row, reasons))
        c.write("const struct status_row *const status_data[] = {\n")
        c.writelines(f"    &{row['name'].lower()},\n" for row in rows)
        c.write("};\nconst size_t status_data_count =\n"
                "    sizeof(status_data) / sizeof(status_data[0]);\n\n")
        c.write("const struct status_reason_row status_reasons[] = {\n")
        for status in sorted(reasons):
            text = c_string(reasons[status])
            c.write(f"    {{ {status}, {{ {text}, sizeof({text}) - 1 }} }},\n")
        c.write("};\nconst size_t status_reason_count =\n"
                "    sizeof(status_reasons) / sizeof(status_reasons[0]);\n")


def md_escape(text):
    """Plain text as Markdown text: nothing in it may start a tag, a link or emphasis."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)


def md_list(out, heading, items):
    if not items:
        return
    out.write(f"{heading}\n\n")
    for item in items:
        text, _, xml = item.partition("\n")
        out.write(f"- {md_escape(text)}\n")
        if xml:
            out.write("\n  ```xml\n" + "".join(f"  {x}\n" for x in xml.split("\n")) + "  ```\n\n")
    out.write("\n")


LOGGED = {"iis": "the site's log", "httperr": "HTTPERR only", "none": "no log"}


def md_row(out, row, reasons):
    out.write(f"### {row['status']}.{row['substatus']} {md_escape(row['title'])}\n\n")
    out.write(md_escape(row["text"]) + "\n\n")
    errors = ", ".join(f"`0x{e:08x}`" for e in row["error"] if e) or "none"
    out.write(f"| | |\n|---|---|\n"
              f"| Reason phrase | {md_escape(reasons[row['status']])} |\n"
              f"| Raised by | {md_escape(row['by'])} |\n"
              f"| In Candor | {md_escape(row['now'] or 'not raised by the server itself')} |\n"
              f"| Logged in | {LOGGED[row['log']]} |\n"
              f"| Error codes | {errors} |\n"
              f"| Versions | {', '.join(row['versions'])} |\n"
              f"| Name in code | `{row['name'].lower()}` |\n\n")
    if row["note"]:
        out.write(f"Note: {md_escape(row['note'])}\n\n")
    md_list(out, "Likely causes, most likely first:", row["cause"])
    md_list(out, "What to do:", row["fix"])
    md_list(out, "On Windows:", row["win"])
    md_list(out, "On Candor:", row["own"])
    md_list(out, "Settings:", row["set"])
    out.write(f"To reproduce: {md_escape(row['try'])}\n\n")
    if row["run"]:
        out.write(f"    {row['run']}\n\n")
    out.write("Sources: " + "; ".join(md_escape(s) for s in row["from"]) + ".\n\n")


def write_md(rows, reasons, path):
    with open(path, "w", encoding="ascii") as out:
        out.write("# Status codes\n\n"
                  "Generated from the server's own table: `candor explain CODE` prints the same.\n"
                  "A plain status stands under its sub-status 0.\n\n")
        out.write("| Code | Meaning | Raised by | Log |\n|---|---|---|---|\n")
        for row in rows:
            out.write(f"| {row['status']}.{row['substatus']} | {md_escape(row['title'])} | "
                      f"{md_escape(row['by'])} | {row['log']} |\n")
        out.write("\n")
        family = None
        for row in rows:
            if row["status"] != family:
                family = row["status"]
                out.write(f"## {family} {md_escape(reasons[family])}\n\n")
            md_row(out, row, reasons)


def main(args):
    first = {"c": 4, "md": 3}.get(args[1] if len(args) > 1 else "", 0)
    if not first or len(args) <= first:
        sys.exit(__doc__)
    rows, reasons = read_tables(args[first:])
    ordered = [rows[code] for code in sorted(rows)]
    if args[1] == "c":
        write_c(ordered, reasons, args[2], args[3])
    else:
        write_md(ordered, reasons, args[2])


main(sys.argv)
