#!/usr/bin/python3
"""Holds the areas of src/ to their order: an area may include itself and the areas below it.

The map is ARCHITECTURE.md's; an include that points the other way, or sideways, fails with its line.
"""
import pathlib
import re
import sys

LAYERS = [
    {"base"},
    {"http"},
    {"tables"},
    {"config", "queue", "logging"},
    {"listener", "worker", "supervisor", "diagnose", "trace"},
    {"toolkit"},
]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def rank_of(area):
    for rank, areas in enumerate(LAYERS):
        if area in areas:
            return rank
    return None


def findings(source):
    """Yields one line of text for each include in the tree that breaks the order."""
    for path in sorted(source.rglob("*.[ch]")):
        inside = path.relative_to(source)
        if len(inside.parts) == 1:
            continue                      # main.c knows everybody
        area = inside.parts[0]
        mine = rank_of(area)
        if mine is None:
            yield f"{path}: area '{area}' is not in the map of tests/check_layers.py"
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            parts = pathlib.PurePosixPath(match[1]).parts
            if len(parts) == 1 or parts[0] == area:
                continue
            theirs = rank_of(parts[0])
            line = text.count("\n", 0, match.start(1)) + 1
            if theirs is None:
                yield f"{path}:{line}: \"{match[1]}\" belongs to no area"
            elif theirs >= mine:
                yield f"{path}:{line}: {area} may not know {parts[0]}"


def main():
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    found = list(findings(source))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
