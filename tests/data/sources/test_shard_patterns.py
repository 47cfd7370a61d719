"""Patterns of files."""

import pytest

from gluonface.data.sources import shard_patterns
from gluonface.data.sources.shard_patterns import expand_paths, require_complete
from gluonface.errors import InputError


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x-0008.tar", "x-0009.tar", "x-0010.tar", "y-1.tar", "y-2.tar", "y-10.tar", "{a}"):
        (tmp_path / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("x-{0008..0010}.tar", ["x-0008.tar", "x-0009.tar", "x-0010.tar"]),
        ("y-{1,10}.tar", ["y-1.tar", "y-10.tar"]),
        ("y-{1..2}.tar", ["y-1.tar", "y-2.tar"]),
        ("{x-0008,y-{1..1}}.tar", None),
        ("{x,y}-*[8-90].tar", ["x-0008.tar", "x-0009.tar", "x-0010.tar", "y-10.tar"]),
        ("y-*", ["y-1.tar", "y-2.tar", "y-10.tar"]),
        ("{a}", ["{a}"]),
        (["x-0010.tar", "y-1.tar"], ["x-0010.tar", "y-1.tar"]),
    ],
)
def test_patterns(shards, pattern, names):
    if names is None:  # braces in braces
        with pytest.raises(InputError):
            expand_paths(pattern)
    else:
        assert [str(path) for path in expand_paths(pattern)] == names


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("x-{0008..0012}.tar", r"x-0011\.tar is missing \(2 of the 5 files"),
        ("z-*.tar", r"z-\*\.tar fits no file"),
        ("nothing", "nothing is not there"),
        ("https://a.b/x-{0000..0099}.tar", "nothing is fetched or run"),
        ("s3://bucket/x.tar", "nothing is fetched or run"),
        ("pipe:curl http://a.b/x", "nothing is fetched or run"),
        ("x-{9..1}.tar", "no range"),
        ("x-{0..99999999}", "no range"),
        ("{0..999}{0..999}{0..9}", "more than 1,000,000"),
        ([], "no path was given"),
        (["y-1.tar", "y-1.tar"], "named twice"),
    ],
)
def test_what_is_refused(shards, pattern, message):
    with pytest.raises(InputError, match=message):
        expand_paths(pattern)


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["a-0000.tar", "a-0002.tar"], r"a-0001\.tar"),
        (["t-00000-of-00003.parquet", "t-00001-of-00003.parquet"], r"t-00002-of-00003\.parquet"),
        (["t-00001-of-00002-0123456789abcdef.parquet"], "t-00000-of-00002"),
        (["a-0000.tar", "a-0001.tar"], None),
        (["subjects_0-1999_72_imgs.zip", "subjects_4000-5999_72_imgs.zip"], None),
        (["0_0.zip", "0_3.zip"], None),
        (["a.tar"], None),
    ],
)
def test_numbered_files_of_a_folder(tmp_path, names, missing):
    paths = [tmp_path / name for name in names]
    if missing is None:
        require_complete(paths)
    else:
        with pytest.raises(InputError, match=f"{missing}.* is missing"):
            require_complete(paths)


def test_there_is_a_bound(monkeypatch, shards):
    monkeypatch.setattr(shard_patterns, "MOST", 2)
    with pytest.raises(InputError, match="no range of at most 2"):
        expand_paths("x-{0008..0010}.tar")
