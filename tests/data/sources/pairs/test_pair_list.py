"""Which form a list has: all lines decide, and what fits none is named."""

import pytest
from pair_files import ANN, BO, CY, FOLDS, PAIRS, check, lfw_line, path_of, write_people

from gluonface.data import open_pairs
from gluonface.data.sources.pairs.pair_list import find_form, split_lines
from gluonface.errors import DataError

FLAT = "{who}_{number:04d}.jpg"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("flat"), FLAT)


def written(tmp_path, lines, end="\n"):
    path = tmp_path / "pairs.txt"
    path.write_text(end.join(lines) + end, newline="")
    return path


@pytest.mark.parametrize("mark", ["\t", " ", ",", ";", ", ", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lfw_with_and_without_its_first_line(tmp_path, people, mark, end):
    lines = [lfw_line(*one, mark) for one in PAIRS]
    for head, folds in (([], None), (["2\t2"], FOLDS), (["2 2"], FOLDS), (["4"], None)):
        path = written(tmp_path, [*head, "", "# a comment", *lines], end)
        pairs = open_pairs(path, root=people)
        check(pairs, folds)
        assert pairs.notes == []


def test_an_lfw_head_that_is_not_so_gives_no_folds(tmp_path, people):
    lines = [lfw_line(*one) for one in PAIRS]
    for head in ("10\t300", "1\t3", "3", "8\t1"):
        pairs = open_pairs(written(tmp_path, [head, *lines]), root=people)
        check(pairs)
        assert "its first line says" in pairs.notes[0]


def test_three_numbers_are_lfws_where_such_images_are(tmp_path):
    """Names may be numbers, as in AgeDB's lists; then `7 1 0` may be two images and a label."""
    for name in ("7/7_0001.jpg", "7/7_0000.jpg", "12/12_0001.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    pairs = open_pairs(written(tmp_path, ["7 1 0"]))
    assert pairs.images(0) == (b"7/7_0001.jpg", b"7/7_0000.jpg")
    assert pairs.issame.tolist() == [True]
    for name in ("13.jpg", "1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    pairs = open_pairs(written(tmp_path, ["13 1 0", "2 1 1"]))
    assert pairs.images(0) == (b"13.jpg", b"1.jpg")
    assert pairs.issame.tolist() == [False, True]


@pytest.mark.parametrize("mark", ["\t", " ", ",", ";"])
@pytest.mark.parametrize(
    "labels", [("0", "1"), ("-1", "1"), ("False", "True"), ("false", "true"), ("0.0", "1.0")]
)
def test_the_label_first_or_last(tmp_path, people, mark, labels):
    last = [mark.join((path_of(a), path_of(b), labels[same])) for a, b, same in PAIRS]
    check(open_pairs(written(tmp_path, last), root=people))
    if labels[0] != "-1":
        first = [mark.join((labels[same], path_of(a), path_of(b))) for a, b, same in PAIRS]
        check(open_pairs(written(tmp_path, first), root=people))


def test_names_without_suffixes_of_other_machines_and_with_blanks(tmp_path, people):
    def lines(change):
        return [f"{change(path_of(a))}\t{change(path_of(b))}\t{int(s)}" for a, b, s in PAIRS]

    check(open_pairs(written(tmp_path, lines(lambda name: name[:-4])), root=people))
    check(open_pairs(written(tmp_path, lines(lambda name: "./" + name)), root=people))
    check(open_pairs(written(tmp_path, lines(lambda n: n.replace("/", "\\"))), root=people))
    check(open_pairs(written(tmp_path, lines(lambda name: str(people / name))), root=people))
    far = lines(lambda name: "/home/x/lfw/" + name)
    check(open_pairs(written(tmp_path, far), root=people, strip="/home/x/lfw"))
    check(open_pairs(written(tmp_path, far), root=people, strip="/home/x/lfw/"))
    with pytest.raises(DataError, match="none of the 8 images"):
        open_pairs(written(tmp_path, far), root=people)
    windows = lines(lambda name: "D:\\lfw\\" + name.replace("/", "\\"))
    check(open_pairs(written(tmp_path, windows), root=people, strip="D:/lfw"))
    blank = write_people(tmp_path / "b", "{who} x/{number}.jpg")
    spaced = [f"{a[0]} x/{a[1]}.jpg\t{b[0]} x/{b[1]}.jpg\t{int(s)}" for a, b, s in PAIRS]
    check(open_pairs(written(tmp_path, spaced), root=blank))


def test_two_lines_a_pair_have_one_label_that_is_no_class(tmp_path, flat):
    """In CALFW the label of a same pair is its fold, so equal labels say nothing."""
    order = sorted(range(8), key=lambda place: not PAIRS[place][2])
    lines = []
    for number, place in enumerate(order):
        first, second, same = PAIRS[place]
        label = 1 + number if same else 0
        lines += [f"{path_of(one, FLAT)} {label}" for one in (first, second)]
    pairs = open_pairs(written(tmp_path, lines), root=flat, folds=2)
    assert pairs.issame.tolist() == [True] * 4 + [False] * 4
    assert pairs.folds.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    with pytest.raises(DataError, match=r"15 lines, two a pair .*line 15, stands alone"):
        open_pairs(written(tmp_path, lines[:-1]), root=flat)
    lines[3] = lines[3].replace(" 2", " 3")
    with pytest.raises(DataError, match=r"lines 3 and 4 are a pair, but have the labels 2 and 3"):
        open_pairs(written(tmp_path, lines), root=flat)


def test_folders_in_two_lines_a_pair(tmp_path, people):
    lines = [path_of(one) for pair in PAIRS for one in pair[:2]]
    check(open_pairs(written(tmp_path, lines), root=people))
    with pytest.raises(DataError, match="15 lines, two a pair"):
        open_pairs(written(tmp_path, lines[:-1]), root=people)


def test_one_kind_is_warned_of(tmp_path, people, caplog):
    open_pairs(written(tmp_path, [lfw_line(*PAIRS[0])]), root=people)
    assert "all 1 pairs are of the same person" in caplog.text


# --- what is refused


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is an empty file"),
        (["# nothing", ""], "lists no pairs"),
        (["10\t300"], "lists no pairs"),
        (["a.jpg;b.jpg", "c.jpg;d.jpg"], "two images each and no label"),
        (["a/1.jpg a/2.jpg", "a/1.jpg b/2.jpg"], "two images each and no label"),
        (["a.jpg b.jpg 1", "a.jpg b.jpg 2"], r"line 2 is 'a.jpg b.jpg 2'; `IMAGE IMAGE 1`"),
        (["a.jpg b.jpg 1", "a.jpg b.jpg 1 9", "a.jpg c.jpg 0"], "line 2 is .* in 2 of the 3 lines"),
        (["a\t1\t2", "a\t1\tb", "a\t2\tb\t1"], r"line 2 is .*`NAME n1 n2`"),
        (["2 2", "a 1 2", "a 1 b x"], r"line 3 is .*`NAME n1 n2`"),
        (["1", "a.jpg b.jpg 1", "a.jpg b.jpg 0"], "line 1 is '1'"),
        (["1 a.jpg b.jpg", "x a.jpg b.jpg", "0 a.jpg c.jpg"], "line 2 is .*`1 IMAGE IMAGE`"),
        (["a.jpg 1", "b.jpg one", "c.jpg 1", "d.jpg 1"], "line 2 is .*`IMAGE LABEL`"),
        (["a.jpg", "b.jpg"], "expected a list of pairs"),
        (["1 some words in a line", "and more of them here now"], "lines of 6 fields"),
    ],
)
def test_lists_that_are_none_are_named_with_their_line(tmp_path, lines, message):
    path = tmp_path / "x.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message) as error:
        open_pairs(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "a/../../secret.jpg", "..\\secret.jpg", "..", "a/../../people2/x.jpg"]
)
def test_a_list_shows_nothing_outside_its_root(tmp_path, name):
    root = tmp_path / "people"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"a")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    path = written(tmp_path, [f"a.jpg\t{name}\t1"])
    with pytest.raises(DataError, match=r"line 1: .* leads out of .*people"):
        open_pairs(path, root=root)
    away = written(tmp_path, [f"a.jpg\t{tmp_path}/secret.jpg\t1"])
    with pytest.raises(DataError, match=r"1 of the 2 images .* not in"):
        open_pairs(away, root=root)


def test_missing_images_are_counted(tmp_path, people):
    lines = [lfw_line(*one) for one in PAIRS] + ["Nobody\t1\t2"]
    with pytest.raises(DataError, match=r"2 of the 10 images .*first is Nobody/Nobody_0001 .*e 9"):
        open_pairs(written(tmp_path, lines), root=people)


def test_fields_are_split_as_all_lines_are():
    lines = [(1, "a b.jpg\tc;d.jpg\t1"), (2, "e.jpg\tf,g.jpg\t0\t\t")]
    assert split_lines(lines) == [
        (1, ("a b.jpg", "c;d.jpg", "1")),
        (2, ("e.jpg", "f,g.jpg", "0")),
    ]
    quoted = [(1, '"a, b.jpg",c.jpg,1')]
    assert split_lines(quoted) == [(1, ("a, b.jpg", "c.jpg", "1"))]


def test_the_form_of_names_that_end_as_images_is_not_lfws():
    names = [(1, [ANN, "1", "2"]), (2, [BO, "1", CY, "2"])]
    assert find_form(names, lambda name: False, "x") == "lfw"
    assert find_form([(1, ["a.jpg", "1", "1"])], lambda name: False, "x") == "label last"
