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
    assert set(errors.__all__) == defined


def test_a_missing_extra_is_named_with_its_command():
    error = MissingExtraError("onnx", "onnx", "to export to ONNX")
    assert str(error) == (
        "onnx is not installed; it is needed to export to ONNX. "
        "Install it with: pip install 'gluonface[onnx]'"
    )
