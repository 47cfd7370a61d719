"""What the pages of the documentation hold: blocks of code, and commands."""

import importlib.util
import pathlib
import re
import shlex
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def generator(stem="_generate"):
    """Return docs/_generate.py (or another file) as a module."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location(f"_docs{stem}", DOCS / f"{stem}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


def blocks(path, language):
    """Return (line, class, code) of the code blocks of a language."""
    found, lines = [], path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines):
        start = re.match(rf"( *)\.\. code-block:: {language}\s*$", line)
        if not start:
            continue
        indent, options, code = len(start[1]) + 1, "", []
        for other in lines[number + 1 :]:
            if other.strip() and len(other) - len(other.lstrip()) < indent:
                break
            if re.match(r"\s*:class:", other):
                options = other.split(":")[-1].strip()
            elif not re.match(r"\s*:\w+:", other):
                code.append(other)
        depth = min(len(one) - len(one.lstrip()) for one in code if one.strip())
        found.append((number + 1, options, "\n".join(one[depth:] for one in code).strip()))
    return found


def commands(path):
    """Return the gluonface commands of a text as lists of words: of its blocks and inline code."""
    text = path.read_text(encoding="utf-8")
    lines = []
    for _, _, code in blocks(path, "bash"):
        lines += code.replace("\\\n", " ").split("\n")
    lines += [" ".join(found.split()) for found in re.findall(r"``([^`]+)``", text)]
    for line in lines:
        start = re.search(r"(?:^|[ /])gluonface (?=[a-z-])", line)
        if start and "import" not in line[: start.start()]:
            yield shlex.split(line[start.end() :], comments=True)
