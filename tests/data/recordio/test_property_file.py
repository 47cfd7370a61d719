"""The property file."""

import pytest

from gluonface.data import RecordDataset
from gluonface.errors import DataError


@pytest.mark.parametrize("text", ["9,16,16\r\n", "9 16 16", "9;16;16", "\ufeff9, 16, 16\n"])
def test_property_with_other_separators(made, text):
    faces = made()
    (faces.folder / "property").write_text(text, encoding="utf-8")
    assert RecordDataset(faces.folder).num_classes == 9


@pytest.mark.parametrize("text", ["", "6,112", "six,16,16", "6,16,16,1", "0,16,16", "-6,16,16"])
def test_wrong_property(made, text):
    faces = made()
    (faces.folder / "property").write_text(text)
    with pytest.raises(DataError, match=r"property holds .* num_classes,height,width was expected"):
        RecordDataset(faces.folder)
