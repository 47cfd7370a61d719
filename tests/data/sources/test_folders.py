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
    assert source.keys == ["p2", "p10"]
    assert source.labels.tolist() == [1, 0]


def test_an_image_in_no_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(InputError, match="in no person's folder"):
        IdentityFolders(tmp_path)


def test_what_systems_leave_is_no_face(tmp_path):
    names = ("ann/1.JPG", "ann/.ipynb_checkpoints/1.jpg", "__MACOSX/a/._1.jpg", "@eaDir/a/1.jpg",
             ".cache/x/1.jpg", "ann/@eaDir/1.jpg", "ann/._1.jpg", "Thumbs.db", "ann/desktop.ini",
             "ann/Thumbs.db", "ann/notes.txt")  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "empty").mkdir()
    source = IdentityFolders(tmp_path)
    assert source.names == ["ann/1.JPG"]
    assert [name[len(str(tmp_path)) + 1 :] for name, _ in source.ignored()] == [
        "ann/notes.txt", "empty"
    ]  # fmt: skip


def test_groups(tmp_path):
    for name in ("African/ann/1.png", "Asian/bo/1.png", "Asian/cy/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png())
    source = IdentityFolders(tmp_path, "last")
    assert source.num_identities == 3
    assert [source.group(i) for i in range(3)] == ["African", "Asian", "Asian"]
