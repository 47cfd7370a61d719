"""What is checked before a run begins."""

import pytest

from gluonface.data import RecordWriter, images
from gluonface.errors import DataError, InputError
from gluonface.training.setup_checks import Problems, open_training_set, require_batch


def fail(error):
    raise error


def test_all_problems_are_told_and_one_alone_as_it_is():
    problems = Problems()
    assert problems.of(lambda: 3) == 3
    problems.raise_all()
    assert not problems
    only = DataError("first")
    assert problems.of(lambda: fail(only)) is None
    with pytest.raises(DataError) as raised:
        problems.raise_all()
    assert raised.value is only
    problems.of(lambda: fail(OSError(2, "No such file or directory", "x")))
    with pytest.raises(InputError, match=r"2 things are wrong:\n  1\. first\n  2\. x: No such"):
        problems.raise_all()
    with pytest.raises(ZeroDivisionError):  # ours to find
        problems.of(lambda: 1 / 0)


def write(folder, labels):
    import numpy as np

    with RecordWriter(folder) as writer:
        for label in labels:
            writer.add(images.encode(np.zeros((8, 8, 3), np.uint8), 101), label)


def test_training_sets_that_are_none(tmp_path):
    write(tmp_path / "two", [0, 1])
    assert open_training_set(str(tmp_path / "two")).num_classes == 2
    write(tmp_path / "one", [0, 0])
    with pytest.raises(InputError, match="holds one person"):
        open_training_set(str(tmp_path / "one"))
    with pytest.raises(InputError, match=r"--data .*nowhere is not there, seen from .*--data DIR"):
        open_training_set(str(tmp_path / "nowhere"))
    (tmp_path / "crops/ann").mkdir(parents=True)
    (tmp_path / "crops/ann/1.jpg").touch()
    packed = tmp_path / "crops-packed"
    with pytest.raises(InputError, match=f"gluonface data pack {tmp_path}/crops {packed}"):
        open_training_set(str(tmp_path / "crops"))
    (tmp_path / "list.txt").touch()
    with pytest.raises(InputError, match=r"gluonface data pack .*list\.txt OUT"):
        open_training_set(str(tmp_path / "list.txt"))


def test_batches_that_cannot_be_divided():
    require_batch(32, 2, 4, 4)
    with pytest.raises(InputError, match="cannot be divided over 4 processes in 3 micro-batches"):
        require_batch(32, 3, 4, 1)
    with pytest.raises(InputError, match="nothing to do for some of the 9 devices"):
        require_batch(32, 1, 4, 9)
