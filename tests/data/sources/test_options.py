"""What a user says about a source, checked."""

import pytest

from gluonface.data.sources.options import SourceOptions
from gluonface.errors import InputError


@pytest.mark.parametrize(
    ("value", "person"),
    [("first", "first"), ("Last folder", "last"), ("last", "last"), (2, 2), ("2", 2), (None, None)],
)
def test_person(value, person):
    assert SourceOptions(person=value).person == person


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"person": "middle"}, "person='middle': first, last"),
        ({"person": 0}, "person=0"),
        ({"root": "/nowhere/at/all"}, "is not a folder"),
        ({"columns": "path"}, "path=NAME,identity=NAME was expected"),
        ({"columns": {"colour": "x"}}, "path=NAME"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        SourceOptions(**options)


def test_columns_and_groups():
    options = SourceOptions(columns="path=a, identity = b c", group="x, y")
    assert (options.columns, options.group) == ({"path": "a", "identity": "b c"}, ["x", "y"])
    options.allow("a list", "columns", "group")
    with pytest.raises(InputError, match=r"columns=.* has no meaning for LMDB"):
        options.allow("LMDB", "group")
