#!/usr/bin/python3
"""embed.py OUT NAME=FILE... - makes C texts of files: const char trace_NAME[]."""
import sys


def literal(text):
    lines = []
    for line in text.splitlines():
        lines.append('    "' + line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '\\n"')
    return "\n".join(lines)


def main():
    parts = ['/* Made by embed.py. */\n#include "trace/page.h"\n']
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        with open(path, encoding="utf-8") as file:
            parts.append(f"const char trace_{name}[] =\n{literal(file.read())};\n")
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write("\n".join(parts))


main()
