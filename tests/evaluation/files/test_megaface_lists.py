import json

import pytest

from gluonface.errors import DataError
from gluonface.evaluation.files import megaface_lists


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"path": ["a"], "id": ["x", "y"]}, "1 paths and 2 ids"),
        ({"path": ["a", "a"], "id": ["x", "y"]}, "lists a twice"),
        ({"path": ["a", 5], "id": ["x", "y"]}, r"path\[1\] is 5"),
        ({"id": ["x"]}, "a list 'path'"),
        ([1], "a list 'path'"),
    ],
)
def test_wrong_probe_lists(tmp_path, content, said):
    file = tmp_path / "list.json"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        megaface_lists.read_probes(file)
    file.write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        megaface_lists.read_probes(file)
