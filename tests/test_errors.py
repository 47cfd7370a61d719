"""The errors of the package: base classes, exit status, the hint of a missing extra."""

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
    assert {*errors.__all__} == {*defined, "printable", "shown", "shown_text"}


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
    assert str(DataError(f"{text} is broken")) == f"{shown} is broken"
