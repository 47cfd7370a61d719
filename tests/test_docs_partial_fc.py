"""The table of docs/partial_fc.rst is that of the planner."""

import csv
import importlib.util
import pathlib

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"


def test_the_table_of_sizes_is_the_planners():
    spec = importlib.util.spec_from_file_location("docs_partial_fc", DOCS / "partial_fc.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with open(DOCS / "results/partial_fc_plan.csv", newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    planned = [[str(value) for value in row] for row in module.plan_rows()]
    assert written == planned, "run docs/partial_fc.py"
