#!/usr/bin/python3
"""Turns the *.schema files of this folder into the C tables that schema.h declares.

The notation is described in README beside this script. Any mistake in a data file ends the build
with its file and line."""

import re
import sys

TYPES = {"s": "STRING", "b": "BOOL", "u": "UINT", "i": "INT", "l": "INT64", "t": "TIME",
         "e": "ENUM", "f": "FLAGS"}
MARKS = {"!": "REQUIRED", "*": "UNIQUE_KEY", "+": "COMBINED_KEY", "#": "CASE_SENSITIVE",
         "%": "EXPANDED", "$": "ENCRYPTED"}
WORDS = {"ne": "NOT_EMPTY", "trim": "TRIMMED", "apn": "POOL_NAME", "sn": "SITE_NAME",
         "ap": "APPLICATION_PATH", "vp": "VDIR_PATH"}
DEFINITIONS = {"Everywhere": "EVERYWHERE", "MachineToApplication": "MACHINE_TO_APPLICATION",
               "MachineToRootWeb": "MACHINE_TO_ROOT_WEB", "MachineOnly": "MACHINE_ONLY",
               "AppHostOnly": "APP_HOST_ONLY", "Unregistered": "UNREGISTERED"}
SUPPORT = {"ignored": "IGNORED", "partial": "PARTIAL", "full": "FULL"}


class Mistake(Exception):
    pass


class Attr:
    def __init__(self, name):
        self.name = name
        self.type = None
        self.flags = []
        self.validator = "ANY"
        self.range = (0, 0, 0)
        self.otherwise = None
        self.values = []


class Elem:
    def __init__(self, name):
        self.name = name
        self.attrs = []
        self.children = []
        self.add = []
        self.remove = self.clear = self.defaults = None
        self.options = set()
        self.unrecognized = False

    def child(self, name, create=True):
        for e in self.children + self.add:
            if e.name == name:
                return e
        if not create:
            raise Mistake("no element " + name)
        e = Elem(name)
        self.children.append(e)
        return e


class Section:
    def __init__(self, path, definition, override, support, note):
        if definition not in DEFINITIONS or override not in ("Allow", "Deny"):
            raise Mistake("registration of " + path)
        self.path, self.definition, self.override = path, definition, override
        self.support, self.note = support, note
        self.root = None


class Reader:
    def __init__(self):
        self.sets, self.defaults, self.sections = {}, {}, []

    def values(self, text, flags):
        out, at = [], 0
        for part in text.split("|"):
            name, _, number = part.partition("=")
            at = int(number) if number else at
            if flags and not number:
                raise Mistake("a flag needs a number: " + part)
            out.append((name.strip(), at))
            at += 1
        return out

    def attr(self, text):
        m = re.match(r"([\w-]+)([!*+#%$]*) ([sbuilt]|[ef](?:\{[^}]*\}|\$\w+))(.*)$", text)
        if not m:
            raise Mistake("attribute: " + text)
        a = Attr(m.group(1))
        a.flags = [MARKS[c] for c in m.group(2)]
        kind, rest = m.group(3), m.group(4)
        a.type = TYPES[kind[0]]
        if kind[0] in "ef":
            a.values = (self.sets[kind[2:]] if kind[1] == "$" else
                        self.values(kind[2:-1], kind[0] == "f"))
        if rest.startswith("="):
            rest = self.default(a, rest[1:])
        for word in re.findall(r"\([^)]*\)|\S+", rest):
            self.option(a, word)
        return a

    def default(self, a, rest):
        if rest.startswith("$"):
            name, _, rest = rest[1:].partition(" ")
            a.otherwise = self.defaults[name]
        elif rest.startswith('"'):
            a.otherwise, _, rest = rest[1:].partition('"')
        elif a.type == "FLAGS":
            a.otherwise, rest = ", ".join(p.strip() for p in rest.split(",")), ""
        else:
            a.otherwise, _, rest = rest.partition(" ")
            if a.otherwise == "enc":
                a.otherwise = ""
        return rest

    def option(self, a, word):
        if word in WORDS:
            a.validator = WORDS[word]
        elif word in ("fmt:seconds", "fmt:minutes"):
            a.flags.append(word[4:].upper())
        elif word == "inf":
            a.flags.append("INFINITE")
        else:
            m = re.match(r"\((not )?(-?\d+)\.\.(\d+)(s/(\d+))?\)$", word)
            if not m:
                raise Mistake("option: " + word)
            a.validator = ("NOT_" if m.group(1) else "") + ("TIME_" if m.group(4) else "") + "RANGE"
            a.range = (int(m.group(2)), int(m.group(3)), int(m.group(5) or 0))

    def holder(self, source, name):
        """A defaults element: what an item has, but nothing required, no key, no collection."""
        e = Elem(name)
        for a in source.attrs:
            b = Attr(a.name)
            b.__dict__.update(a.__dict__)
            b.flags = [f for f in a.flags if f not in ("REQUIRED", "UNIQUE_KEY", "COMBINED_KEY")]
            e.attrs.append(b)
        e.children = [self.copy(c) for c in source.children if not c.name.endswith("Defaults")]
        return e

    def copy(self, source):
        e = Elem(source.name)
        e.__dict__.update(source.__dict__)
        e.attrs = list(source.attrs)
        e.children = [self.copy(c) for c in source.children]
        e.add = [self.copy(c) for c in source.add]
        return e

    def walk(self, path):
        e = self.sections[-1].root
        for step in path.split("/"):
            e = e.child(step, create=False)
        return e

    def element(self, line):
        root = self.sections[-1].root
        m = re.match(r"(\S+) = (\S+)$", line)
        if m:
            e, steps = root, m.group(1).split("/")
            for step in steps[:-1]:
                e = e.child(step)
            e.children.append(self.holder(self.walk(m.group(2)), steps[-1]))
            return
        m = re.match(r"([\w./-]+(?: \| \w+)*)(?: \[([^\]]*)\])?(?: (\{unrec\}))?(?:: (.*))?$", line)
        if not m:
            raise Mistake("line: " + line)
        path, directives, unrec, attrs = m.groups()
        names = path.split(" | ")
        first = names[0].split("/")
        parent = root
        for step in first[:-1]:
            parent = parent.child(step)
        for name in [first[-1]] + names[1:]:
            if directives is not None:
                e = Elem(name)
                parent.add.append(e)
                self.collection(parent, e, directives)
            else:
                e = root if path == "." else parent.child(name)
            e.unrecognized = e.unrecognized or bool(unrec)
            for text in self.split(attrs or ""):
                a = self.attr(text)
                e.attrs = [x for x in e.attrs if x.name != a.name] + [a]

    def split(self, text):
        return [p.strip() for p in re.findall(r'(?:[^;"]|"[^"]*")+', text) if p.strip()]

    def collection(self, parent, item, directives):
        for word in re.split(r"[\s;,]+", directives.strip()):
            if word.startswith("-"):
                parent.remove = word[1:]
            elif word.startswith("~"):
                parent.clear = word[1:]
            elif word.startswith("defaults:"):
                parent.defaults = word[9:]
            elif word == "unrec":
                item.unrecognized = True
            elif word in ("prepend", "dup"):
                parent.options.add(word)
            elif word:
                raise Mistake("directive: " + word)

    def line(self, line):
        word, _, rest = line.partition(" ")
        if word == "set":
            name, _, values = rest.partition(" ")
            self.sets[name] = self.values(values.replace(" ", ""), False)
        elif word == "default":
            name, _, text = rest.partition(" ")
            self.defaults[name] = ", ".join(p.strip() for p in text.split(","))
        elif word == "section":
            path, definition, override, support, *note = rest.split(" ", 4)
            self.sections.append(Section(path, definition, override, SUPPORT[support],
                                         note[0] if note else None))
            self.sections[-1].root = Elem(path.split("/")[-1])
        elif word == "register":
            path, definition, override, *note = rest.split(" ", 3)
            self.sections.append(Section(path, definition, override, "IGNORED",
                                         note[0] if note else None))
        else:
            self.element(line)

    def file(self, name):
        pending, start = "", 0
        with open(name, encoding="utf-8") as f:
            lines = f.read().split("\n") + [""]
        for number, text in enumerate(lines, 1):
            if text.startswith("    "):
                pending += " " + text.strip()
                continue
            try:
                if pending:
                    self.line(pending)
            except (Mistake, KeyError, ValueError) as e:
                sys.exit("%s:%d: %r" % (name, start, e))
            pending, start = "" if text.startswith("#") else text.rstrip(), number


def quote(text):
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Writer:
    def __init__(self, out):
        self.out, self.n, self.value_names = out, 0, {}

    def name(self, prefix):
        self.n += 1
        return "%s%d" % (prefix, self.n)

    def put(self, *text):
        self.out.write("".join(text) + "\n")

    def values(self, values):
        key = tuple(values)
        if key not in self.value_names:
            name = self.value_names[key] = self.name("values")
            self.put("static const struct schema_value ", name, "[] = {")
            for v in values:
                self.put("    {", quote(v[0]), ", %du}," % v[1])
            self.put("};")
        return self.value_names[key]

    def attrs(self, e):
        if not e.attrs:
            return "NULL"
        rows = []
        for a in e.attrs:
            values = self.values(a.values) if a.values else "NULL"
            flags = " | ".join("SCHEMA_" + f for f in a.flags) or "0"
            rows.append("    {%s, SCHEMA_%s, %s, VALID_%s, %d, %d, %d, %s, %s, %d}," % (
                quote(a.name), a.type, flags, a.validator, *a.range, quote(a.otherwise), values,
                len(a.values)))
        name = self.name("attrs")
        self.put("static const struct schema_attr ", name, "[] = {")
        self.put("\n".join(rows))
        self.put("};")
        return name

    def pointers(self, elems):
        if not elems:
            return "NULL"
        names = [self.elem(e) for e in elems]
        name = self.name("list")
        self.put("static const struct schema_elem *const ", name, "[] = {",
                 ", ".join("&" + n for n in names), "};")
        return name

    def elem(self, e):
        attrs, children, collection = self.attrs(e), self.pointers(e.children), "NULL"
        if e.add:
            add = self.pointers(e.add)
            collection = self.name("collection")
            self.put("static const struct schema_collection ", collection, " = {", ", ".join((
                add, str(len(e.add)), quote(e.remove), quote(e.clear),
                str("prepend" in e.options).lower(), str("dup" in e.options).lower(),
                quote(e.defaults))), "};")
            collection = "&" + collection
        name = self.name("elem")
        self.put("static const struct schema_elem ", name, " = {", ", ".join((
            quote(e.name), attrs, str(len(e.attrs)), children, str(len(e.children)), collection,
            str(e.unrecognized).lower())), "};")
        return name

    def bytes(self, name, path):
        with open(path, "rb") as f:
            data = f.read()
        if max(data) > 127:
            sys.exit(path + ": not ASCII")
        self.put("const char ", name, "[] = {")
        for at in range(0, len(data), 24):
            self.put("    ", "".join("%d," % b for b in data[at:at + 24]))
        self.put("    0};")
        self.put("const size_t ", name, "_len = %d;" % len(data))


def main(argv):
    out_name, host, mime, *schemas = argv[1:]
    reader = Reader()
    # sets.schema defines what the others name.
    for name in sorted(schemas, key=lambda n: not n.endswith("sets.schema")):
        reader.file(name)
    sections = sorted(reader.sections, key=lambda s: s.path.encode())
    for a, b in zip(sections, sections[1:]):
        if a.path == b.path:
            sys.exit("section defined twice: " + a.path)
    with open(out_name, "w", encoding="utf-8") as out:
        w = Writer(out)
        w.put('#include "config/schema.h"')
        rows = []
        for s in sections:
            root = "&" + w.elem(s.root) if s.root else "NULL"
            rows.append("    {%s, DEFINE_%s, %s, SUPPORT_%s, %s, %s}," % (
                quote(s.path), DEFINITIONS[s.definition], str(s.override == "Allow").lower(),
                s.support, quote(s.note), root))
        w.put("const struct schema_section schema_sections[] = {\n" + "\n".join(rows) + "\n};")
        w.put("const size_t schema_n_sections = %d;" % len(rows))
        w.bytes("builtin_application_host", host)
        w.bytes("builtin_mime_map", mime)


if __name__ == "__main__":
    main(sys.argv)
