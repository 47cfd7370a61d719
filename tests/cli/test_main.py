import pathlib
import re
import subprocess
import sys
import types

import pytest

import gluonface
from gluonface.cli import COMMANDS, main
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
