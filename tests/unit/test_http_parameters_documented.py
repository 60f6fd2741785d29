"""docs/http-parameters.md has every parameter of the table, with its default, and no other.
Usage: test_http_parameters_documented.py SOURCE_ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
source = (root / "src/tables/http_parameters.c").read_text()
rows = {}
for block in re.split(r"\n    \{", source)[1:]:
    name = re.match(r'\.name = "(\w+)"', block)
    if name:
        value = re.search(r"(?:BOOLEAN|SWITCH)\((\w+)\)|NUMBER\(\w+, (\w+),", block)
        rows[name[1]] = (value[1] or value[2]) if value else None
page = (root / "docs/http-parameters.md").read_text()
told = dict(re.findall(r"^\| `(\w+)`(?: \(`\w+`\))? \| ([^|]+) \| [^|]+ \| ", page, re.M))

problems = [f"{name} is missing" for name in rows.keys() - told.keys()]
problems += [f"{name} does not exist" for name in told.keys() - rows.keys()]
for name, default in rows.items():
    if default and re.fullmatch(r"0x[0-9a-f]+|\d+", default) and name in told \
            and int(told[name], 0) != int(default, 0):
        problems.append(f"{name}: the default is {default}, the page says {told[name]}")
if not rows:
    problems.append("the table was not understood")
print("\n".join(problems) or f"{len(rows)} parameters")
sys.exit(bool(problems))
