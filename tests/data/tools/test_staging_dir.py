"""A staging folder becomes the result, survives an interruption, and goes with an error."""

import pytest

from gluonface.data.tools.staging_dir import SUFFIX, lock_folder, staging_dir
from gluonface.errors import InputError


def write(out, text="x", stop=None):
    with staging_dir(out, ("a", "b")) as folder:
        (folder / "a").write_text(text)
        (folder / "state").write_text("of unfinished work")
        if stop is not None:
            raise stop
        (folder / "b").write_text(text)


@pytest.mark.parametrize("there", [False, True])
def test_the_files_become_those_of_the_folder(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "other").write_text("mine")
    write(out)
    names = {path.name for path in out.iterdir()}
    assert names == {"a", "b"} | ({"other"} if there else set())
    assert list(tmp_path.iterdir()) == [out]


def test_an_interruption_keeps_the_files_and_an_error_does_not(tmp_path):
    out, staging = tmp_path / "out", tmp_path / f".out{SUFFIX}"
    with pytest.raises(KeyboardInterrupt):
        write(out, stop=KeyboardInterrupt())
    assert (staging / "a").exists()
    assert not out.exists()
    with pytest.raises(ValueError, match="wrong"):
        write(out, stop=ValueError("wrong"))
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_have_folders_of_their_own(tmp_path):
    out, staging = tmp_path / "out", tmp_path / f".out{SUFFIX}"
    staging.mkdir()
    with lock_folder(staging):
        assert lock_folder(staging) is None
        write(out, "second")
    assert (out / "b").read_text() == "second"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file" / "out")


def test_what_another_process_wrote_meanwhile_stays_if_the_result_must_be_new(tmp_path):
    out = tmp_path / "out"

    def work():
        with staging_dir(out, ("folder", "a"), new=True) as folder:
            (folder / "folder").mkdir()
            (folder / "a").write_text("mine")
            out.mkdir()
            (out / "a").write_text("theirs")

    with pytest.raises(InputError, match="another process wrote it"):
        work()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["a"]
    assert (out / "a").read_text() == "theirs"


def test_a_folder_in_the_place_of_a_file_is_told_before_the_work(tmp_path):
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/b").write_text("of an older set")
    with pytest.raises(InputError, match="out/a is a folder, in the place of a file"):
        write(tmp_path / "out")
    assert (tmp_path / "out/b").read_text() == "of an older set"
    assert len(list((tmp_path / "out").iterdir())) == 2
