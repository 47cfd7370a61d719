"""Images of lists: found below a root, each once. The forms of lists: test_pair_list.py."""

import pytest
from pair_files import PAIRS, check, content, lfw_line, path_of, write_people

from gluonface.data import open_pairs
from gluonface.data.sources.file_tree import FileTree
from gluonface.data.sources.pairs.listed_pairs import ImageFinder
from gluonface.errors import DataError, InputError


def test_an_image_in_many_pairs_is_one_image(tmp_path):
    people = write_people(tmp_path / "people")
    (tmp_path / "a.txt").write_text("\n".join(lfw_line(*one) for one in PAIRS * 3))
    pairs = open_pairs(tmp_path / "a.txt", root=people)
    assert (len(pairs), pairs.num_images) == (24, 8)
    assert content(pairs)[:8] == content(pairs)[8:16]


def test_lists_together_are_one_set(tmp_path):
    people = write_people(tmp_path / "people")
    lines = [lfw_line(*one) for one in PAIRS]
    for name, part in (("a.txt", lines[:4]), ("b.txt", lines[4:])):
        (tmp_path / name).write_text("1\t2\n" + "\n".join(part))
    check(open_pairs([tmp_path / "a.txt", tmp_path / "b.txt"], root=people), [0] * 4 + [1] * 4)
    (people / "c.txt").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"in several folders.*--root"):
        open_pairs([tmp_path / "a.txt", people / "c.txt"])


@pytest.mark.parametrize("place", ["", "lfw-deepfunneled", "images"])
def test_the_list_of_a_tree_finds_its_images_beside_it(tmp_path, place):
    write_people(tmp_path / place)
    (tmp_path / "other").mkdir(exist_ok=True)
    (tmp_path / "my_pairs.csv").write_text(
        "".join(f"{path_of(a)},{path_of(b)},{int(s)}\n" for a, b, s in PAIRS)
    )
    check(open_pairs(tmp_path))
    (tmp_path / "Pairs2.txt").write_text("x")
    with pytest.raises(InputError, match=r"2 lists of pairs \(Pairs2\.txt, my_pairs\.csv\)"):
        open_pairs(tmp_path)


def test_suffixes_in_any_case_and_none(tmp_path):
    for name in ("a.JPG", "b.png", "c.webp", "d"):
        (tmp_path / name).write_bytes(name.encode())
    finder = ImageFinder(FileTree(tmp_path), "x")
    assert [finder.find(name, "") for name in ("a", "b", "c", "d", "a.JPG")] == [
        *("a.JPG", "b.png", "c.webp", "d", "a.JPG")
    ]
    assert finder.find("e", "x, line 1") == ""
    with pytest.raises(DataError, match=r"1 of the 6 images that x lists .* e \(x, line 1\)"):
        finder.check()
