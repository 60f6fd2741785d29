#!/usr/bin/python3
"""Makes C constants of the report's style sheet and script, and of the policy that lets a browser
run these two and nothing else, whatever a log line holds."""
import base64
import hashlib
import sys


def literal(text):
    """Lines of C string literals."""
    lines = []
    for line in text.splitlines(keepends=True):
        line = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("?", "\\?")
        # A translator need not take more than 4095 characters of one line.
        for i in range(0, len(line), 1000):
            lines.append(f'    "{line[i:i + 1000]}"')
    return "\n".join(lines)


def constant(name, text):
    return f"static const char {name}_text[] =\n{literal(text)};\n" \
           f"const struct str {name} = {{{name}_text, sizeof({name}_text) - 1}};\n"


def sha256(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def main():
    out, css_path, js_path = sys.argv[1:]
    with open(css_path, encoding="ascii") as f:
        css = f.read()
    with open(js_path, encoding="ascii") as f:
        js = f.read()
    assert "</style" not in css and "</script" not in js
    policy = f"default-src 'none'; style-src 'sha256-{sha256(css)}'; script-src 'sha256-{sha256(js)}'; " \
             "base-uri 'none'; form-action 'none'"
    with open(out, "w", encoding="ascii") as f:
        f.write("/* Generated from report.css and report.js. */\n"
                '#include "diagnose/report_html_assets.h"\n\n')
        f.write("\n".join([constant("html_css", css), constant("html_js", js),
                           constant("html_policy", policy)]))


if __name__ == "__main__":
    main()
