"""Folders of people."""

import pytest
from record_files import png

from gluonface.data.sources.folders import IdentityFolders
from gluonface.errors import InputError


def test_labels_follow_the_natural_order_of_the_folders(tmp_path):
    for person in ("p10", "p2"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "a.png").write_bytes(png())
    source = IdentityFolders(tmp_path)
    assert source.people == ["p2", "p10"]
    assert source.labels.tolist() == [1, 0]


def test_an_image_in_no_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(InputError, match="in no person's folder"):
        IdentityFolders(tmp_path)
