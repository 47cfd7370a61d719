"""The tables of the pages in a browser: typed into, sorted, found empty."""

import html
import json
import pathlib
import re
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "docs/_static/tables.js"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
ROWS = (
    ("net9", "1,003,136", "400 *", "93.5"),
    ("net10", "995,361", "", "92.80"),
    ("other_se", "118,833,408", "7.76", ""),
    ("other", "2,059,520", "35", "94.23"),
)
STEPS = """
    var table = document.querySelector("table"), field = document.querySelector("input.explore");
    var status = document.querySelector("[role=status]"), seen = {};
    function names() {
      return Array.from(table.tBodies[0].rows).filter(function (row) {
        return row.offsetParent !== null;
      }).map(function (row) { return row.cells[0].textContent; });
    }
    function type(text) {
      field.value = text;
      field.dispatchEvent(new Event("input"));
    }
    function sort(column) {
      table.tHead.rows[0].cells[column].querySelector("button").click();
    }
    function state(column) { return table.tHead.rows[0].cells[column].getAttribute("aria-sort"); }
    seen.start = names();
    type("OTHER 2,059"); seen.words = names(); seen.found = status.textContent;
    type("nothing"); seen.nothing = names(); seen.none = status.textContent;
    type(" "); seen.all = names(); seen.quiet = status.textContent;
    sort(1); seen.up = names(); seen.ascending = state(1);
    sort(1); seen.down = names(); seen.descending = state(1);
    sort(2); seen.empty = names(); seen.before = state(1);
    sort(0); seen.named = names();
    type("net"); sort(3); seen.both = names();
    seen.label = field.getAttribute("aria-label");
    document.getElementById("seen").textContent = JSON.stringify(seen);
"""


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_search_and_sort(tmp_path):
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in ROWS)
    head = "".join(f"<th><p>{c}</p></th>" for c in ("Name", "Parameters", "Images/s", "Theirs"))
    page = tmp_path / "page.html"
    page.write_text(
        f"<!doctype html><script>{SCRIPT.read_text(encoding='utf-8')}</script>"
        f'<table class="explore"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f'<pre id="seen"></pre><script>addEventListener("load", function () {{{STEPS}}});</script>',
        encoding="utf-8",
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    seen = json.loads(html.unescape(found[1]))
    names = [row[0] for row in ROWS]
    assert seen == {
        "start": names,
        "words": ["other"],
        "found": "1 of 4 rows",
        "nothing": [],
        "none": "0 of 4 rows",
        "all": names,
        "quiet": "",
        "up": ["net10", "net9", "other", "other_se"],
        "ascending": "ascending",
        "down": ["other_se", "other", "net9", "net10"],
        "descending": "descending",
        "empty": ["other_se", "other", "net9", "net10"],  # 7.76, 35, 400; what is not known last
        "before": None,
        "named": ["net9", "net10", "other", "other_se"],  # as people count
        "both": ["net10", "net9"],
        "label": "Search this table",
    }
