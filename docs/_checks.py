"""Run the tests of every backbone and write what they measured; `measure.py checks` calls this.

Each backbone is tested in its own process, whose end frees the memory: the largest take 13 GB.
"""

import csv
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

__all__ = ["HEADINGS", "check"]

ROOT = pathlib.Path(__file__).resolve().parents[1]
TESTS = [f"tests/model_zoo/{name}.py" for name in ("test_every_model", "test_starting_values")]
# Column -> pattern of the names of its figures. The column has the largest of them.
FIGURES = {
    "Hybrid": r"hybrid batch",
    "Static": r"static batch",
    "Elementwise": r"elementwise batch",
    "Gradients": r"\w+ gradients, of the tolerance",
    "Loaded": r"loaded on",
    "SymbolBlock": r"SymbolBlock",
    "ONNX": r"ONNX batch",
}
HEADINGS = ["Name", "Tests", "Parameters with a gradient", *FIGURES, "At"]


def check(path, names, scratch):
    """Test backbones. After each the table is written, in the order of the registry.

    Parameters
    ----------
    path : pathlib.Path
        The table. Its rows of other names are kept.
    names : list of str
        Registered names.
    scratch : pathlib.Path
        A folder for reports.
    """
    from gluonface.model_zoo import list_models

    rows = read(path)
    for number, name in enumerate(names, 1):
        row = _row(name, scratch)
        if row is None:
            continue
        rows[name] = row
        sys.stderr.write(f"{number} of {len(names)}: {' '.join(row)}\n")
        with open(path, "w", encoding="utf-8", newline="") as file:
            lines = [HEADINGS, *(rows[one] for one in list_models() if one in rows)]
            csv.writer(file, lineterminator="\n").writerows(lines)


def read(path):
    """Return {name: row} of the table, {} if the file does not exist."""
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        return {row[0]: row for row in list(csv.reader(file))[1:]}


def _row(name, scratch):
    """Return the row of a backbone, or None if pytest did not finish."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    report = scratch / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider"]
    command += ["-k", f"[{name}]", f"--junitxml={report}", *TESTS]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):  # MXNet may have ended the process
        tail = "\n".join(done.stdout.splitlines()[-20:])
        sys.stderr.write(f"{name}: pytest ended with {done.returncode}\n{tail}\n")
        return None
    return [name, *_cells(ET.parse(report).getroot()), commit]


def _cells(report):
    """Return the cells of a report: the number of passed tests, the largest figure per column."""
    found, passed, others = {}, 0, []
    for case in report.iter("testcase"):
        problem = next((e.tag for e in case if e.tag in ("failure", "error", "skipped")), None)
        if problem is None:
            passed += 1
        else:
            others.append(f"{case.get('name').partition('[')[0]}: {problem}")
        for entry in case.iter("property"):
            found[entry.get("name")] = float(entry.get("value"))
    gradients = found.pop("gradients", None)
    cells = [
        "; ".join([f"{passed} passed", *others]),
        "" if gradients is None else f"{gradients:.0f}",
    ]
    for pattern in FIGURES.values():
        values = [value for key, value in found.items() if re.match(pattern, key)]
        cells.append(f"{max(values):.1e}".replace("0.0e+00", "0") if values else "")
    return cells
