"""How our operators are compiled, checked and kept, and what happens where they cannot be."""

import logging
import os
import stat
import subprocess
import sys

import pytest

from gluonface import native
from gluonface.native import build
from gluonface.native.build import NativeError, library

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="they are for Linux on x86-64"
)

# Stands in for a compiler: writes a file at the place after -o.
COMPILER = """#!/bin/sh
echo "$@" >>"{log}"
while [ "$1" != -o ]; do shift; done
echo compiled >"$2"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gluonface/native"


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A compiler that takes no time. Returns the file in which it notes its calls."""
    log = tmp_path / "calls"
    file = tmp_path / "compiler"
    file.write_text(COMPILER.format(log=log))
    file.chmod(0o755)
    monkeypatch.setenv("CXX", str(file))
    return log


def pass_check(monkeypatch):
    """Let the check of what that compiler made pass."""
    run = build._run

    def without_check(command, *rest):
        if "gluonface.native.check" not in command:
            run(command, *rest)

    monkeypatch.setattr(build, "_run", without_check)


def test_compiled_once(folder, compiler, monkeypatch, caplog):
    pass_check(monkeypatch)
    with caplog.at_level(logging.INFO):
        path = library()
    assert "compiling gluonface's operators" in caplog.text
    assert path.read_text() == "compiled\n"
    assert library() == path
    assert len(compiler.read_text().splitlines()) == 1
    assert sorted(p.name for p in folder.iterdir()) == ["lock", path.name]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_compiler_with_options(folder, compiler, monkeypatch):
    pass_check(monkeypatch)
    monkeypatch.setenv("CXX", os.environ["CXX"] + " -Wall")
    library()
    assert compiler.read_text().startswith("-Wall ")


def test_what_it_depends_on_names_the_file(folder, compiler, monkeypatch):
    pass_check(monkeypatch)
    first = library()
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DOTHER"))
    assert library() != first


def test_what_fails_its_check_is_not_kept(folder, compiler):
    """The stand-in's file is no library: the check ends with an error of the loader's."""
    with pytest.raises(NativeError, match="they failed their check: status 1"):
        library()
    (note,) = folder.glob("*.failed")
    assert "file too short" in note.read_text()
    assert not list(folder.glob("*.so"))
    with pytest.raises(NativeError, match=f"{note}; delete it to retry"):
        library()
    assert len(compiler.read_text().splitlines()) == 1  # nobody tried again
    note.unlink()
    with pytest.raises(NativeError):
        library()
    assert len(compiler.read_text().splitlines()) == 2


def test_a_crash_is_that_of_the_check(folder, compiler, monkeypatch):
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    run = build._run
    monkeypatch.setattr(
        build, "_run", lambda command, *rest: run(crash if "-m" in command else command, *rest)
    )
    with pytest.raises(NativeError, match="they failed their check: a crash"):
        library()


def test_compiler_that_fails(folder, monkeypatch, tmp_path):
    file = tmp_path / "broken"
    file.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 3\n")
    file.chmod(0o755)
    monkeypatch.setenv("CXX", str(file))
    with pytest.raises(NativeError, match=f"they do not compile: status 3 of {file}"):
        library()
    assert "no such option" in next(folder.glob("*.failed")).read_text()


def test_without_a_compiler(folder, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NativeError, match=r"no C\+\+ compiler .*apt-get install g"):
        library()
    assert not list(folder.glob("*.failed"))  # one may be installed tomorrow


def test_others_must_not_write_there(folder, compiler, monkeypatch):
    pass_check(monkeypatch)
    path = library()
    folder.chmod(0o777)
    with pytest.raises(NativeError, match=f"others can write to {folder}; .*chmod go-w"):
        library()
    folder.chmod(0o700)
    path.chmod(0o666)
    with pytest.raises(NativeError, match=f"others can write to {path}"):
        library()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_home_that_cannot_be_written(tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NativeError, match="no place to keep them"):
        library()


def test_a_file_in_the_place_of_the_folder(tmp_path, monkeypatch):
    (tmp_path / "gluonface").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NativeError, match="no place to keep them"):
        library()


def test_elsewhere_there_are_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NativeError, match="Linux on x86-64"):
        library()


@pytest.mark.parametrize("setting", ["0", "1"])
def test_a_process_without_them_says_so_and_goes_on(tmp_path, setting):
    code = (
        "import logging; logging.basicConfig(level='INFO')\n"
        "from gluonface import native\n"
        "print(native.ready())\n"
        "with native.allowed(): print(native.operators(None))\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "CXX": "none"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "GLUONFACE_NATIVE": setting},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "False\nNone\n"
    told = "without gluonface's operators, slower (PReLU and gates): they are compiled, and there"
    assert (told in result.stderr) == (setting == "1")


def test_processes_at_the_same_time_make_one(folder, compiler, monkeypatch):
    code = (
        "from gluonface.native import build\n"
        "run = build._run\n"
        "build._run = lambda command, *r: '-m' in command or run(command, *r)\n"
        "print(build.library())\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parents[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1
    assert len(compiler.read_text().splitlines()) == 1


@pytest.mark.parametrize("damage", ["cut", "altered", "empty", "longer"])
def test_a_damaged_library_is_compiled_again(folder, compiler, monkeypatch, damage, caplog):
    """Loading a cut one would end the process: SIGBUS."""
    pass_check(monkeypatch)
    path = library()
    content = path.read_bytes()
    path.chmod(0o700)
    path.write_bytes(
        {"cut": content[:4], "altered": b"C" + content[1:], "empty": b"", "longer": content + b"x"}[
            damage
        ]
    )
    assert library().read_bytes() == content
    assert "is damaged; it is compiled again" in caplog.text
    assert len(list(folder.glob("*.so"))) == 1
    assert len(compiler.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "end",
    [
        "kill -KILL $$",
        "kill -TERM $$",
        "echo 'c++: fatal error: Killed signal terminated program cc1plus' >&2; exit 1",
        "echo '/tmp/x.s: No space left on device' >&2; exit 1",
    ],
)
def test_a_compiler_that_was_killed_is_tried_again(folder, compiler, monkeypatch, tmp_path, end):
    pass_check(monkeypatch)
    good = os.environ["CXX"]
    killed = tmp_path / "killed"
    killed.write_text(f"#!/bin/sh\n{end}\n")
    killed.chmod(0o755)
    monkeypatch.setenv("CXX", str(killed))
    with pytest.raises(NativeError, match="was killed, or had no room; it is retried"):
        library()
    assert [path.name for path in folder.iterdir()] == ["lock"]
    monkeypatch.setenv("CXX", good)
    assert library().read_text() == "compiled\n"


def test_a_process_that_was_killed_while_compiling_leaves_nothing(folder, compiler, monkeypatch):
    """Its scratch folder is removed by the next one, which compiles again."""
    slow = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    code = (
        "import sys\n"
        "from gluonface.native import build\n"
        f"build._compiler = lambda: [sys.executable, '-c', {slow!r}]\n"
        "build.library()\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert any(path.is_dir() for path in folder.iterdir())
    pass_check(monkeypatch)
    path = library()
    assert sorted(p.name for p in folder.iterdir()) == ["lock", path.name]


def test_the_check_finds_a_wrong_number(our_operators, monkeypatch):
    from gluonface.native import check

    monkeypatch.setattr(check, "load", lambda path: None)  # this process has them
    assert check.main("loaded already") == 0
    twin = check.twin
    monkeypatch.setattr(check, "twin", lambda *args: (twin(*args)[0] + 1e-4, twin(*args)[1]))
    assert check.main("loaded already") == 1


def test_this_process_has_one_libmxnet(our_operators):
    """A library of ours that brought another one would register its operators there."""
    with open("/proc/self/maps") as file:
        loaded = {line.split()[-1] for line in file if line.rstrip().endswith("libmxnet.so")}
    assert len(loaded) == 1
    assert native.ready()


def test_a_library_without_mxnet_is_compiled_once_and_again_when_damaged(folder, compiler):
    path = build.plain_library("jpeg_scan")
    assert path.name.startswith("jpeg_scan-")
    assert build.plain_library("jpeg_scan") == path
    assert len(compiler.read_text().splitlines()) == 1
    path.chmod(0o600)
    path.write_text("cut")
    assert build.plain_library("jpeg_scan") == path
    assert path.read_text() == "compiled\n"
    assert len(compiler.read_text().splitlines()) == 2


def test_a_library_that_does_not_compile_is_not_tried_again(folder, tmp_path, monkeypatch):
    file = tmp_path / "compiler"
    file.write_text("#!/bin/sh\necho no; exit 1\n")
    file.chmod(0o755)
    monkeypatch.setenv("CXX", str(file))
    for _ in range(2):
        with pytest.raises(NativeError, match=r"jpeg_scan\.cc does not compile"):
            build.plain_library("jpeg_scan")
    assert list(folder.glob("jpeg_scan-*.failed"))
