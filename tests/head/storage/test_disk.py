"""Centres in files."""

import numpy as np
import pytest
from sampled_cases import SIZE, backward, batch, head_of

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.head.storage import make_store
from gluonface.parallel import PartialFC


def test_disk_leaves_nothing_behind_and_equals_memory(tmp_path, monkeypatch):
    from gluonface.head.storage.disk import DiskStore

    monkeypatch.setattr(DiskStore, "BUDGET", 1)  # let go of the pages at every chance
    results = []
    disk = {"centers": "disk", "centers_path": tmp_path / "new" / "folder"}
    for options, early in (({}, False), (disk, False), (disk, True)):
        head = PartialFC("cosface", 5000, SIZE, sample_rate=0.1, **options)
        if early:  # the centres' file is made, and momentum gets one of its own
            head.set_centers(head.get_centers())
        head.set_optimizer("sgd", momentum=0.9, wd=0.01)
        for t in range(3):
            backward(head, *batch(seed=t, classes=5000))
            head.update(0.1)
        results.append({k: np.array(v) for k, v in head.row_arrays().items()})
    for name in ("weight", "momentum"):
        np.testing.assert_array_equal(results[1][name], results[0][name])
        np.testing.assert_array_equal(results[2][name], results[0][name])
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_disk_that_is_no_folder_or_has_no_room(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="give a folder"):
        make_store("disk", mx.cpu(), 10, file)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(InputError, match=r"No space left.*room for weight and momentum"):
        head_of(centers="disk", centers_path=tmp_path).set_optimizer("sgd")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
