import json

import pytest

from gluonface.bench import search
from gluonface.cli import main


def test_the_table(tmp_path, capsys):
    words = ["--rows", "9000", "--sizes", "16", "--batches", "1", "20", "--repeats", "1"]
    assert main(["bench", "search", *words, "--json", str(tmp_path / "t.json")]) == 0
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    methods = {row["method"] for row in rows}
    assert {"product", "argpartition", "gluonface"} <= methods
    assert {(row["rows"], row["size"], row["batch"]) for row in rows} == {
        (9000, 16, 1),
        (9000, 16, 20),
    }
    assert all(row["recall"] == 1 for row in rows if row["method"] == "gluonface")
    assert "9,000 x 16, gluonface" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--rows", "5"], "the number of rows is 5; expected 26 or more"),
        (["--sizes", "0"], "the number of size is 0"),
        (["--batches", "-1"], "the number of batch is -1"),
        (["--repeats", "0"], "the number of repeats is 0"),
        (["--threads", "0"], "--threads is 0"),
    ],
)
def test_wrong_use(capsys, words, text):
    assert main(["bench", "search", *words]) == 2
    assert text in capsys.readouterr().err


def test_faiss_is_compared_where_it_is_there():
    pytest.importorskip("faiss")
    rows = search.measure(9000, [16], [3], 1)
    assert [row.recall for row in rows if row.method == "faiss flat"] == [1.0]
