import contextlib
import csv
import gc
import json
import os
import pathlib
import re
import resource
import stat
import subprocess
import sys

import numpy as np
import pytest

import gluonface
from gluonface.errors import DataError, InputError
from gluonface.files import (
    FileLock,
    atomic_write,
    open_to_write,
    parse_json,
    parse_yaml,
    place_inside,
    require_content,
    require_folder_inside,
    sha256,
    sync,
    write_json,
    write_npz,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_half_way():
        with atomic_write(path, "w") as file:
            file.write("new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_write_replaces_the_file_with_ordinary_permissions(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"\x00\x01")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\x01"
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.bin")]
    assert modes[0] == modes[1]


def test_sha256_and_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1, 2.5, None]}
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_errors_name_the_file_that_was_meant(tmp_path):
    (tmp_path / "folder").mkdir()
    for path, kind in (
        (tmp_path / "none" / "a.json", FileNotFoundError),
        (tmp_path / "folder", IsADirectoryError),
    ):
        with pytest.raises(kind) as caught:
            write_json(path, {})
        assert caught.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4ab1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"<HTML><body>404", "a web page"),
    ],
)
def test_what_lies_in_the_place_of_a_download(tmp_path, content, message):
    path = tmp_path / "w.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"w\.onnx is .*{message}|w\.onnx {message}"):
        require_content(path.read_bytes(), path)
    path.write_bytes(b"\x08\x08" + content)
    require_content(path.read_bytes(), path)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../a", "a/../../b", "a/..", "..", "a\0b", "out/a", "loop/a", "up/a"],
)
def test_a_name_that_leaves_the_folder_has_no_place(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "out").symlink_to("/etc")
    (folder / "up").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    assert place_inside(folder, name) is None
    with pytest.raises(InputError, match="does not lie in"):
        require_folder_inside(folder, name)


def test_a_name_inside_has_a_place_also_through_links(tmp_path):
    (tmp_path / "in" / "real").mkdir(parents=True)
    (tmp_path / "in" / "link").symlink_to("real")
    (tmp_path / "folder").symlink_to("in")
    for name in ("a", "x/y/..z", "link/a", "./a", "real//b", "last"):
        assert place_inside(tmp_path / "folder", name) == tmp_path / "folder" / name
    assert require_folder_inside(tmp_path / "folder", "x/y/z").parent.is_dir()


def test_a_pipe_and_a_device_get_the_bytes_and_stay_what_they_are(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=f"'{pipe}'"), atomic_write(pipe) as file:
        file.write(b"nobody reads")  # and it does not wait for somebody
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as file:
        file.seek(5)  # as zip files do
        file.write(b"56")
        file.seek(0)
        file.write(b"01234")
    assert os.read(reader, 100) == b"0123456"
    os.close(reader)
    master, terminal = os.openpty()
    with atomic_write(os.ttyname(terminal), "w", encoding="utf-8") as file:
        file.write("é")
    assert os.read(master, 100) == "é".encode()
    for handle in (master, terminal):
        os.close(handle)
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_standard_output_is_where_the_shell_leads_it(tmp_path):
    code = (
        "from gluonface.files import atomic_write\n"
        "with atomic_write('/dev/stdout') as file: file.write(b'here')"
    )
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"here"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"here"
    assert os.path.islink("/dev/stdout")


def test_other_links_are_no_way_out_of_a_folder(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"x")
    assert (tmp_path / "link").read_bytes() == b"x"
    assert not (tmp_path / "link").is_symlink()


def test_a_disk_is_refused(tmp_path, monkeypatch):
    disk = os.stat_result((0o060600, *[0] * 9))
    monkeypatch.setattr(os, "lstat", lambda path: disk)
    with pytest.raises(InputError, match="sda is a disk"), atomic_write(tmp_path / "sda"):
        pass


@pytest.mark.parametrize("mode", ["wb", "a", "r+b"])
def test_a_file_in_place_is_not_opened_through_a_link(tmp_path, mode):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to("victim")
    with pytest.raises(InputError, match="link is a link; it is not followed"):
        open_to_write(tmp_path / "link", mode)
    assert (tmp_path / "victim").read_text() == "precious"
    with open_to_write(tmp_path / "victim", mode) as file:
        assert file.writable()
    with pytest.raises(OSError, match="No such file"):
        open_to_write(tmp_path / "none" / "a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested more than 50 deep"),
        ("a:\n" + "".join(f"{'  ' * n}- \n" for n in range(200)), "deep|is not YAML"),
        ("a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(11)), "20 aliases"),
        ("a: 2001-02-31", "is not YAML: .*day"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: [", "is not YAML"),
        ("!!python/object/apply:os.system [x]", "is not YAML"),
        ("a" * (1 << 21), "has 2097152 characters"),
    ],
)
def test_yaml_that_is_refused(text, reason):
    with pytest.raises(InputError, match=f"^x.yaml .*{reason}"):
        parse_yaml(text, "x.yaml")


def test_yaml_of_plain_types_with_some_aliases():
    assert parse_yaml("a: &a [1, x]\nb: *a\n", "x.yaml") == {"a": [1, "x"], "b": [1, "x"]}


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "9" * 5000, "{", b"\xff", ""])
def test_json_that_is_refused(text):
    with pytest.raises(DataError, match=r"^x\.json is not JSON"):
        parse_json(text, "x.json")


WRITERS = {
    "bytes": ("wb", lambda file: [file.write(bytes(999)) for _ in range(99)]),
    "one block": ("wb", lambda file: file.write(bytes(99999))),
    "array": ("wb", lambda file: np.save(file, np.zeros(99999))),
    "archive": ("wb", lambda file: write_npz(file, {"a": np.zeros(9999), "b": np.ones(9999)})),
    "text": ("w", lambda file: [file.write("word\n") for _ in range(99999)]),
    "table": ("w", lambda file: csv.writer(file).writerows([[1, 2, 3]] * 19999)),
    "picture": ("wb", lambda file: figure().savefig(file, format="png", dpi=300)),
    "json": ("w", lambda file: json.dump(list(range(19999)), file)),
}


def figure():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(np.random.default_rng(0).normal(size=999))
    return figure


@contextlib.contextmanager
def limited(size):
    """Limit the size of files, which the system tells as it tells a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def complaints(monkeypatch):
    """Return what Python reports of destructors, which a user sees as "Exception ignored"."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_is_one_error_that_names_the_file(tmp_path, what, complaints):
    mode, write = WRITERS[what]
    path = tmp_path / "out"

    def attempt():
        with atomic_write(path, mode) as file:
            write(file)

    attempt()
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        with limited(size), pytest.raises(OSError, match="File too large") as caught:
            attempt()
        assert caught.value.filename == str(path)
        assert [each.name for each in tmp_path.iterdir()] == ["out"]
        assert path.read_bytes() == whole
    del caught
    gc.collect()
    assert not complaints
    with limited(len(whole)):
        attempt()


def test_an_error_that_a_library_swallows_is_an_error(tmp_path):
    def swallow():
        with atomic_write(tmp_path / "out") as file, contextlib.suppress(OSError):
            file.write(bytes(100000))

    with limited(1000), pytest.raises(OSError, match="File too large"):
        swallow()
    assert not list(tmp_path.iterdir())


def test_an_open_file_names_itself_and_ends_quietly(tmp_path, complaints):
    file = open_to_write(tmp_path / "log", "a", encoding="utf-8")
    with limited(1000), pytest.raises(OSError, match="File too large") as caught:
        file.writelines("a line\n" for _ in range(100000))
    assert caught.value.filename == str(tmp_path / "log")
    with pytest.raises(OSError, match="File too large"):
        sync(file)
    file.close()
    del file
    gc.collect()
    assert not complaints


def test_archives_are_those_of_numpy(tmp_path):
    arrays = {"a/b": np.arange(6).reshape(2, 3), "c": np.float32(2), "words": np.array(["x", "yz"])}
    with atomic_write(tmp_path / "a.npz") as file:
        write_npz(file, arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert set(found.files) == set(arrays)
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)
    with pytest.raises(ValueError, match="allow_pickle"), atomic_write(tmp_path / "b.npz") as file:
        write_npz(file, {"a": np.array([{}])})


# Where a file is opened for writing otherwise, and why an error of it needs no path.
ELSEWHERE = {
    "files.py", "head/storage/disk.py",
    "bench/_face_sources.py", "bench/_many_records.py", "bench/eval.py",
    "native/build.py", "data/tools/staging_dir.py",  # locks
    "deploy/int8.py",  # in a temporary folder
}  # fmt: skip
WRITES = re.compile(
    r"\bopen\([^\n]*[\"'](w|a|x|r\+|w\+)b?[\"']|\.write_(text|bytes)\(|\bnp\.savez\("
    r"|\bnp\.save\((?!file)|\bshutil\.copy(2|file)?\("
)


def test_every_writer_names_its_file():
    root = pathlib.Path(gluonface.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if WRITES.search(path.read_text(encoding="utf-8"))
    }
    assert found <= ELSEWHERE


def test_a_name_of_255_bytes_is_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        with atomic_write(tmp_path / name) as file:
            file.write(b"content")
        assert (tmp_path / name).read_bytes() == b"content"
    with pytest.raises(OSError, match="too long"), atomic_write(tmp_path / ("x" * 256)):
        pass
    assert len(list(tmp_path.iterdir())) == 2


def test_a_lock_whose_file_was_removed_is_taken_at_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    first = FileLock(path, stays=False)
    assert first.acquire() is None
    opened = gluonface.files.open_to_write

    def open_late(*args, **kwargs):
        file = opened(*args, **kwargs)
        first.release()  # between opening and locking
        return file

    monkeypatch.setattr(gluonface.files, "open_to_write", open_late)
    second = FileLock(path, stays=False)
    assert second.acquire() is None
    monkeypatch.undo()
    assert "process" in FileLock(path).acquire()
    second.release()
    assert not path.exists()


KILLED = """
import os, sys
from gluonface.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    if sys.argv[2:]:
        print("open", flush=True)
        sys.stdin.read()
        file.write(b" and whole")
    else:
        os._exit(9)
"""


def test_what_a_killed_process_left_is_written_anew(tmp_path):
    path = tmp_path / "embeddings.npz"
    for _ in range(3):
        subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        (left,) = tmp_path.iterdir()
        assert left.read_bytes() == b"half"
    with atomic_write(path) as file:
        file.write(b"new")
        assert left.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"new"


def test_two_processes_with_one_target_write_it_whole(tmp_path):
    path = tmp_path / "x.json"
    command = [sys.executable, "-c", KILLED, str(path), "slow"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with atomic_write(path) as file, atomic_write(path) as third:
            file.write(b"mine")
            third.write(b"this one")
        assert path.read_bytes() == b"mine"
        other.stdin.close()
    assert path.read_bytes() == b"half and whole"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("what", ["readable", "link", "two names", "folder", "of another"])
def test_a_temporary_file_that_others_may_have_put_there_is_not_used(tmp_path, what):
    path, victim = tmp_path / "x", tmp_path / "victim"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    victim.write_text("as it was")
    if what == "readable":
        left.chmod(0o644)
    elif what == "of another":
        if os.geteuid() != 0:
            pytest.skip("only root gives files away")
        os.chown(left, 65534, 65534)
    else:
        left.unlink()
        make = {"link": left.symlink_to, "two names": lambda to: os.link(to, left)}
        victim.chmod(0o600)
        make.get(what, lambda _: left.mkdir())(victim)
    with atomic_write(path, private=True) as file:
        file.write(b"secret")
        assert len(list(tmp_path.glob(".x.*.part"))) == 2
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "as it was"
