import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

import gluonface
from gluonface.cli import COMMANDS, main
from gluonface.cli._commands import require_no_input_as_output
from gluonface.errors import DataError, InputError


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from gluonface.cli import main; main(['--help']);"
        "print([m for m in ('mxnet', 'numpy', 'cv2', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert all(f"    {name} " in out for name in COMMANDS)
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "words",
    [[name] for name in COMMANDS] + [["data", "synthesize"], ["eval", "verification"]],
    ids=" ".join,
)
def test_each_command_explains_itself_without_mxnet(words, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "gluonface._compat.mx", raising=False)
    assert main([*words, "--help"]) == 0
    assert "usage: gluonface " + " ".join(words) in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gluonface {gluonface.__version__}\n"


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["data"], ["models", "--nonsense"], ["data", "nonsense"]]
)
def test_wrong_use_exits_with_2_and_says_how(argv, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert "usage: gluonface" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(("error", "status"), [(DataError("broken"), 1), (InputError("no"), 2)])
def test_our_errors_become_one_line_and_a_status(error, status, capsys, monkeypatch):
    from gluonface.cli import models

    def fail(args):
        raise error

    monkeypatch.setattr(models, "run", fail)
    assert main(["models"]) == status
    assert capsys.readouterr().err == f"gluonface models: error: {error}\n"


def test_an_error_of_the_system_is_one_line(capsys, monkeypatch):
    from gluonface.cli import models

    def fail(args):
        raise OSError(28, "No space left on device", "/full/x")

    monkeypatch.setattr(models, "run", fail)
    assert main(["models"]) == 1
    text = "gluonface models: error: /full/x: No space left on device\n"
    assert capsys.readouterr().err == text


def test_the_installed_command_and_the_module_are_one(monkeypatch, capsys):
    """It catches Ctrl-C while the command line is imported, too."""
    from gluonface import __main__

    root = pathlib.Path(__file__).resolve().parents[2]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^gluonface = "gluonface\.__main__:run"$', text, re.MULTILINE)
    monkeypatch.setattr(sys, "argv", ["gluonface", "--version"])
    assert __main__.run() == 0
    monkeypatch.setitem(sys.modules, "gluonface.cli", Interrupted("gluonface.cli"))
    assert __main__.run() == 130
    assert capsys.readouterr().err == "gluonface: interrupted\n"


class Interrupted(types.ModuleType):
    """A module in whose import Ctrl-C comes."""

    def __getattr__(self, name):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("import", "--from", "m", "--model", "mobilefacenet", "--out", "m-0000.params"), None),
        (
            ("import", "--from", "m", "--model", "mobilefacenet", "--out", "./m-symbol.json"),
            None,
        ),
        (("export", "--model", "mobilefacenet:m-0000.params", "--out", "m"), "m-0000.params"),
        (("export", "--model", "mobilefacenet:m-0000.params", "--torch", "m-0000.params"), None),
        (("embed", "--model", "m", "--input", "a.npz", "b.npz", "--out", "b.npz"), None),
        (("compare", "a.png", "b.png", "--model", "m", "--draw", "link.png"), None),
        (("identify", "g.gallery", "a.png", "--json", "g.gallery"), None),
        (("eval", "verification", "--model", "m", "--pack", "a.bin", "--json", "a.bin"), None),
        (("calibrate", "--model", "m", "--scores", "s.npz", "--out", "s.npz"), None),
        (("data", "inspect", "set", "--json", "set/train.rec"), None),
        (("data", "clean", "set", "--centers", "c.npy", "--report", "c.npy"), None),
        (("data", "pack-pairs", "pairs.csv", "x", "pairs.csv"), None),
    ],
)
def test_a_file_that_is_read_is_not_written(words, file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("set", "x"):
        (tmp_path / folder).mkdir()
    names = {"m-0000.params", "m-symbol.json", "a.png", "g.gallery", "a.bin", "set/train.rec"}
    names |= {"a.npz", "b.npz", "s.npz", "c.npy", "pairs.csv"}
    for name in names:
        (tmp_path / name).write_text(name)
    os.link("a.png", "link.png")
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert f": {file or words[-1]} would be written, and is read by the same command" in error
    assert {name: (tmp_path / name).read_text() for name in names} == {n: n for n in names}


def test_other_outputs_are_free(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m-0000.params", "m-symbol.json", "a.json", "train.rec"):
        (tmp_path / name).touch()
    require_no_input_as_output({"--out": "m"}, ["m"])  # a prefix is exported again
    require_no_input_as_output({"--json": "a.json"}, [".", ["m", "b.json"], None, 3])
    require_no_input_as_output({"--json": None, "--out": "."}, ["."])
