"""The journal of long work."""

from gluonface.data.tools.journal import Journal


def test_a_journal_forgets_half_a_line(tmp_path):
    path = tmp_path / "j"
    with Journal(path, {"a": 1}) as journal:
        journal["x"], journal["y"] = 1, 2
    path.write_bytes(path.read_bytes()[:-4])
    with Journal(path, {"a": 1}) as journal:
        assert "x" in journal
        assert "y" not in journal
    with Journal(path, {"a": 2}) as journal:
        assert len(journal) == 0
