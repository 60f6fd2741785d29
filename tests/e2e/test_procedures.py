"""docs/procedures.md: every command of the page does what the page says, on the logs that stand there."""
import os
import pathlib
import re
import subprocess

import pytest

from harness.server import BINARY

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "procedures.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]
BLOCK = re.compile(r"^```(log|console) ?(\S*)\n(.*?)^```$", re.M | re.S)


def commands(text):
    """(command, its output as shown) of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        yield command, [line.rstrip() for line in shown.splitlines()]


def pieces(shown):
    """What stands between lines that are left out."""
    piece = []
    for line in shown + ["..."]:
        if line == "..." and piece:
            yield piece
        piece = [] if line == "..." else piece + [line]


def find(lines, piece, start):
    for at in range(start, len(lines) - len(piece) + 1):
        if lines[at:at + len(piece)] == piece:
            return at + len(piece)
    return None


def test_page_has_its_sections():
    assert len(SECTIONS) >= 12


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: re.sub(r"\W+", "-", s.partition("\n")[0]).strip("-").lower())
def test_procedure(section, tmp_path):
    programs = tmp_path / "programs"
    folder = tmp_path / "logs"
    programs.mkdir()
    folder.mkdir()
    (programs / "candor").symlink_to(pathlib.Path(BINARY).resolve())
    environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}")
    ran = 0
    for kind, name, content in BLOCK.findall(section):
        if kind == "log":
            (folder / name).write_text(content)
            continue
        for command, shown in commands(content):
            done = subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True,
                                  timeout=60, check=False)
            assert done.returncode == 0, done.stderr
            lines = [line.rstrip() for line in done.stdout.splitlines()]
            at = 0
            for piece in pieces(shown):
                found = find(lines, [line for line in piece], at)
                assert found is not None, f"{command}: not shown:\n" + "\n".join(piece) + "\nbut\n" + done.stdout
                at = found
            if shown and shown[-1] != "...":
                assert "\n".join(lines[at:]).strip() == "", f"{command}: more is shown"
            ran += 1
    assert ran
