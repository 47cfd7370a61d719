"""The journal of long work."""

import pytest

from gluonface.data.tools.journal import Journal, write_checked_json
from gluonface.errors import InputError


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


@pytest.mark.parametrize(
    "line", [[], 1, None, "text", {"key": 1, "result": 2}, {"result": 2}, {"key": "k"}]
)
def test_lines_of_another_form_are_ignored(tmp_path, line):
    path, more = tmp_path / "j", tmp_path / "line"
    Journal(path, {"a": 1}).close()
    write_checked_json(more, line)
    path.write_bytes(path.read_bytes() + more.read_bytes())
    with Journal(path, {"a": 1}, check=lambda result: result is not None) as journal:
        assert dict(journal) == {}
    path.write_bytes(path.read_bytes() + more.read_bytes())
    with Journal(path, {"a": 2}, check=lambda result: result is not None) as journal:
        assert journal.replaced == []


def test_a_link_in_place_of_the_journal_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "j").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="j is a link; it is not followed"):
        Journal(tmp_path / "j", {})
    assert (tmp_path / "victim").read_text() == "precious"
