"""The errors of the package: base classes, exit status, the hint of a missing extra."""

import pathlib

import pytest

from gluonface import errors
from gluonface.errors import DataError, GluonfaceError, InputError, MissingExtraError, TrainingError


@pytest.mark.parametrize(
    ("error", "status", "also"),
    [
        (GluonfaceError, 1, Exception),
        (InputError, 2, ValueError),
        (DataError, 1, GluonfaceError),
        (TrainingError, 1, GluonfaceError),
        (MissingExtraError, 1, ImportError),
    ],
)
def test_base_classes_and_exit_status(error, status, also):
    assert issubclass(error, GluonfaceError)
    assert issubclass(error, also)
    assert error.exit_status == status


def test_every_error_is_public():
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert {*errors.__all__} == {
        *defined, "install_command", "one_line", "printable", "shown", "shown_text",
    }  # fmt: skip


def test_a_missing_extra_is_named_with_its_command():
    error = MissingExtraError("onnx", "onnx", "to export to ONNX")
    assert str(error) == (
        "onnx is not installed; it is needed to export to ONNX. "
        "Install it with: pip install 'gluonface[onnx]'"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\bc\x7f\x9b1mK\x85", r"a\rb\x08c\x7f\x9b1mK\x85"),
        ("evil\u202egpj.exe\u2066\u2028", r"evil\u202egpj.exe\u2066\u2028"),
        ("tab\tand\nline, Łukasz, 李雷, \U0001f600", "tab\tand\nline, Łukasz, 李雷, \U0001f600"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert errors.printable(text) == shown
    line = shown.replace("\n", r"\n")  # an error is one line
    assert errors.one_line(text) == line
    assert str(DataError(f"{text} is broken")) == f"{line} is broken"


def test_the_command_for_an_extra_works_however_gluonface_is_installed(monkeypatch):
    """pip takes the extra from an installed gluonface; a checkout on the path is named."""
    import importlib.metadata

    def installed(name):
        return object()

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", installed)
    assert errors.install_command("onnx") == "pip install 'gluonface[onnx]'"
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    root = pathlib.Path(errors.__file__).parents[1]
    assert errors.install_command("onnx") == f"pip install -e '{root}[onnx]'"
    monkeypatch.setattr(errors, "__file__", "/nowhere/gluonface/errors.py")
    assert errors.install_command("onnx") == "pip install 'gluonface[onnx]'"
