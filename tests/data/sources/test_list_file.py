"""Images that list files name: found below the root, and nothing outside it."""

import pytest
from record_files import png

from gluonface.data.sources import open_source
from gluonface.errors import InputError


@pytest.fixture
def faces(tmp_path):
    for number, name in enumerate(["Ann/1.png", "Ann/2.png", "Bo/1.png"]):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(png(number))
    (tmp_path / "secret.png").write_bytes(png(9))
    return tmp_path / "faces"


def read(tmp_path, text, **options):
    file = tmp_path / "faces.txt"
    file.write_text(text)
    return open_source(file, **{"root": tmp_path / "faces", **options})


def test_the_folder_above_is_the_person_of_bare_paths(faces, tmp_path):
    source = read(tmp_path, "Ann/1.png\nAnn/2.png\nBo/1.png\n")
    assert [source.identity(i) for i in range(3)] == ["Ann", "Ann", "Bo"]
    assert source.read(2) == png(2)
    with pytest.raises(InputError, match="no folder above it"):
        read(faces, "1.png\n", root=faces / "Ann")


def test_paths_of_another_machine(faces, tmp_path):
    text = "/data/set/Ann/1.png 4\n/data/set/Bo/1.png 5\n"
    with pytest.raises(
        InputError, match=r"none of the 2 listed files is there.* --strip /data/set/"
    ):
        read(tmp_path, text)
    source = read(tmp_path, text, strip="/data/set/")
    assert [source.relative_name(i) for i in range(2)] == ["Ann/1.png", "Bo/1.png"]
    source = read(tmp_path, f"{faces}/Ann/1.png 4\nAnn\\2.png 5\n")  # as written, below the root
    assert [source.read(i) for i in range(2)] == [png(0), png(1)]


def test_missing_files(faces, tmp_path, caplog):
    some = "Ann/1.png 4\nAnn/8.png 4\nAnn/9.png 4\n"
    with pytest.raises(InputError, match=r"2 of 3 listed .*8\.png\. .*--allow-missing"):
        read(tmp_path, some)
    source = read(tmp_path, some, allow_missing=True)
    assert len(source) == 1
    assert "2 of 3 listed files are not there, the first is" in caplog.text
    assert "8.png" in caplog.text
    assert [name[-5:] for name, _ in source.ignored()] == ["8.png", "9.png"]
    with pytest.raises(InputError, match="none of the 1 listed files"):
        read(tmp_path, "Ann/7.png 4\n")


@pytest.mark.parametrize(
    "path", ["../secret.png", "Ann/../../secret.png", "link.png", "dir/secret.png", "ABS"]
)
def test_nothing_outside_the_root_is_read(faces, tmp_path, path):
    (faces / "link.png").symlink_to(tmp_path / "secret.png")
    (faces / "dir").symlink_to(tmp_path)
    path = path.replace("ABS", str(tmp_path / "secret.png"))
    with pytest.raises(InputError, match=r"line 2: .*secret|link.* is outside"):
        read(tmp_path, f"Ann/1.png 4\n{path} 5\n")
    above = f"{path}" if path.startswith("/") else f"faces/{path}"
    source = read(tmp_path, f"faces/Ann/1.png 4\n{above} 5\n", root=tmp_path)
    assert source.read(1) == png(9)


def test_equal_names_below_two_folders_are_two_people(faces, tmp_path, caplog):
    for part in ("a", "b"):
        (faces / part / "Ann").mkdir(parents=True)
        (faces / part / "Ann" / "1.png").write_bytes(png())
    source = read(tmp_path, "a/Ann/1.png\nb/Ann/1.png\nBo/1.png\n")
    assert [source.identity(i) for i in range(3)] == ["a/Ann", "b/Ann", "Bo"]
    assert "the same name below different folders" in caplog.text
    source = read(tmp_path, "a/Ann/1.png\nb/Ann/1.png\nBo/1.png\n", person="first")
    assert [source.identity(i) for i in range(3)] == ["a", "b", "Bo"]


def test_several_lists_share_identities(faces, tmp_path):
    (tmp_path / "1.txt").write_text("Ann/1.png 4\n")
    (tmp_path / "2.txt").write_text("Ann/2.png 4\nBo/1.png 5\n")
    source = open_source([tmp_path / "1.txt", tmp_path / "2.txt"], root=faces)
    assert (len(source), source.num_identities) == (3, 2)
    (tmp_path / "2.txt").write_text("Ann/2.png\n")
    with pytest.raises(InputError, match="lists of one kind"):
        open_source([tmp_path / "1.txt", tmp_path / "2.txt"], root=faces)


def test_a_folder_of_lists_is_a_list_for_each_group(faces, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "Females.txt").write_text("db_code image_path\nD0 Ann/1.png\n")
    (tmp_path / "lists" / "Males.txt").write_text("db_code image_path\nD1 Bo/1.png\n")
    source = open_source(tmp_path / "lists", root=faces)
    found = [(source.identity(i), source.group(i)) for i in range(2)]
    assert found == [("Ann", "Females"), ("Bo", "Males")]


def test_options_without_meaning(faces, tmp_path):
    for options in ({"person": "first"}, {"split": "train"}):
        with pytest.raises(InputError, match=r"names the identities itself|no meaning for a list"):
            read(tmp_path, "Ann/1.png 4\n", **options)
    with pytest.raises(InputError, match="no image has an identity"):
        read(tmp_path, "Ann/1.png -1\n")
