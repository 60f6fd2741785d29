"""What the generators of the tables share: the lines of a .tbl file, the checks, C literals.

The format is described at the top of status/common.tbl.
"""
import sys
import xml.etree.ElementTree as ElementTree


def fail(path, line, text):
    sys.exit(f"{path}:{line}: {text}")


def read_entries(path):
    """Yields (line number, heading words, [(line number, key, value)])."""
    entry = None
    with open(path, encoding="utf-8") as f:
        for number, raw in enumerate(f, 1):
            line = raw.rstrip()
            if not line or line.startswith("#"):
                continue
            if not line.isascii() or "\t" in line:
                fail(path, number, "only printable ASCII here")
            if not line.startswith(" "):
                if entry:
                    yield entry
                entry = (number, line.split(), [])
                continue
            if entry is None:
                fail(path, number, "an indented line before the first heading")
            if line.startswith("    "):
                if not entry[2]:
                    fail(path, number, "a continuation without a field before it")
                at, key, value = entry[2][-1]
                entry[2][-1] = (at, key, value + " " + line.strip())
                continue
            key, _, value = line.strip().partition(" ")
            if not value.strip():
                fail(path, number, f"{key} has no value")
            # In XML the indentation is part of the text.
            entry[2].append((number, key, value if key == "xml" else value.strip()))
    if entry:
        yield entry


def read_definition(path, at, words, fields, sources, reasons):
    """A source or a reason, on one line."""
    if fields or len(words) < 3:
        fail(path, at, f"write {words[0]}, a name and a text on one line")
    if words[0] == "source":
        sources[words[1]] = " ".join(words[2:])
        return
    status = int(words[1]) if words[1].isdecimal() else 0
    if status in reasons or not 100 <= status <= 999:
        fail(path, at, f"reason of {words[1]} given twice or out of range")
    reasons[status] = " ".join(words[2:])


def look_up(path, at, what, names, known):
    """The texts of names, separated by blanks, in the dictionary known."""
    for name in names.split():
        if name not in known:
            fail(path, at, f"{what} {name} is unknown")
    return [known[name] for name in names.split()]


def add_advice(path, line, row, key, value):
    """One field of a list; xml goes to the end of the fix before it."""
    if key != "xml":
        row[key].append(value)
        return
    if not row["fix"]:
        fail(path, line, "xml belongs to the fix before it")
    row["fix"][-1] += "\n" + value


def check_xml(path, line, text):
    """What people paste into web.config is well-formed."""
    try:
        ElementTree.fromstring(f"<x>{text}</x>")
    except ElementTree.ParseError as error:
        fail(path, line, f"{text}: {error}")


def c_string(text):
    out = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("?", "\\?")
    return f'"{out}"'


def c_string_or_null(text):
    return "NULL" if text is None else c_string(text)


def c_list(symbol, key, items):
    values = "".join(f"    {c_string(i)},\n" for i in items)
    return f"static const char *const {symbol}_{key}[] = {{\n{values}    NULL,\n}};\n"
