import numpy as np
import pytest
from reference import ijb as twin
from reference import verification as pairs_twin

from gluonface.errors import DataError, InputError
from gluonface.evaluation.files import ijb_lists
from gluonface.evaluation.metrics import bootstrap
from gluonface.evaluation.protocols import identification, ijb
from gluonface.evaluation.scores import listed_pairs, templates

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
MODES = ("N0D0F0", "N0D0F1", "N0D1F0", "N0D1F1", "N1D0F0", "N1D0F1", "N1D1F0", "N1D1F1")


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference/eval"


@pytest.fixture(scope="module")
def janus(folder):
    """Return images, pairs and outputs of the reference case."""
    images = ijb_lists.read_images(
        folder / "ijbc_face_tid_mid.txt", folder / "ijbc_name_5pts_score.txt"
    )
    pairs = ijb_lists.read_pairs(folder / "ijbc_template_pair_label.txt")
    outputs = np.load(folder / "ijb_feats.npz")
    return images, pairs, outputs


def pooled(janus, mode, dtype):
    images, _, outputs = janus
    return templates.pool(
        outputs["emb"],
        images.template,
        images.media,
        outputs["emb_flip"] if mode[5] == "1" else None,
        images.quality if mode[3] == "1" else None,
        mode[1] == "1",
        dtype,
    )


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_of_the_public_script_to_the_last_pair(janus, expected, mode):
    known = expected["ijb"][f"evals_{mode}"]
    outcome = ijb.verify(*pooled(janus, mode, np.float64), janus[1])
    assert list(outcome.tar().values()) == known["tar_strict"]
    assert list(outcome.tar("reference").values()) == known["tar_nearest"]
    strict = [p.threshold for p in outcome.points if p.convention == "strict"]
    np.testing.assert_allclose(strict, known["thr_strict"], rtol=0, atol=1e-7)
    # One pair of 708 x 140,892 may change places by the last bit: 1.003e-8 of the area.
    assert outcome.measures["auc"] == pytest.approx(known["auc"], abs=1.1e-8)
    assert outcome.counts == {"templates": 908, "pairs": 141600, "same": 708, "different": 140892}


def test_template_features_are_those_of_the_public_script(janus, folder):
    known = np.load(folder / "ijb_expected.npz")
    ids, units = pooled(janus, "N0D1F1", np.float64)
    np.testing.assert_array_equal(ids, known["template_ids"])
    np.testing.assert_allclose(units, known["template_feats"], rtol=0, atol=4e-8)  # of float32


def test_float32_stays_within_one_pair_per_target(janus, expected):
    for mode in ("N0D1F1", "N1D0F0"):
        known = expected["ijb"][f"evals_{mode}"]
        outcome = ijb.verify(*pooled(janus, mode, np.float32), janus[1])
        for convention, name in (("strict", "tar_strict"), ("reference", "tar_nearest")):
            rates = np.array(list(outcome.tar(convention).values()))
            assert np.abs(rates - known[name]).max() <= 1 / 708 + 1e-12


def test_the_library_option_matters(janus, expected):
    """The nearest point of the whole ROC is another one: not what published tables use."""
    known = expected["ijb"]["N0D1F1_nearest_full_roc"]
    nearest = ijb.verify(*pooled(janus, "N0D1F1", np.float64), janus[1]).tar("reference")
    wrong = [abs(rate - full) > 1e-9 for rate, full in zip(nearest.values(), known)]
    assert wrong == [False, False, False, False, True, True]


def test_search_in_both_galleries(janus, folder, expected):
    galleries = {
        name: ijb_lists.read_template_subjects(folder / f"ijbc_1N_gallery_{name}.csv")
        for name in ("G1", "G2")
    }
    probes = ijb_lists.read_template_subjects(folder / "ijbc_1N_probe_mixed.csv")
    ids, units = pooled(janus, "N0D1F1", np.float64)
    outcome = ijb.identify(ids, units, probes, galleries, fpirs=(1e-3, 1e-2, 1e-1))
    known = expected["ijb"]
    for part, name in zip(outcome.parts, ("1N_g1", "1N_g2")):
        assert [r.hits for r in part.ranks] == [known[name][f"top{k}"] for k in (1, 5, 10)]
        assert part.counts["mated"] == known[name]["n_mated"]
        assert list(part.tpir("reference").values()) == known[name]["tpir"]
        assert list(part.tpir().values()) == known[name]["tpir_strict"]
        reference = [s.threshold for s in part.searches if s.convention == "reference"]
        np.testing.assert_allclose(reference, known[name]["thr"], rtol=0, atol=1e-7)
    assert outcome.rank() == {k: known["1N_mean"][f"top{k}"] for k in (1, 5, 10)}
    np.testing.assert_allclose(
        list(outcome.tpir("reference").values()), known["1N_mean"]["tpir"], rtol=1e-12
    )


def test_search_as_the_older_script(janus, folder, expected):
    galleries = {
        name: ijb_lists.read_template_subjects(folder / f"ijbc_1N_gallery_{name}.csv")
        for name in ("G1", "G2")
    }
    probes = ijb_lists.read_template_subjects(folder / "ijbc_1N_probe_mixed.csv")
    outcome = ijb.identify_jointly(*pooled(janus, "N0D1F1", np.float64), probes, galleries)
    known = expected["ijb"]["ijb_1n_script"]
    assert outcome.rank() == {k: known[f"top{k}"] for k in (1, 5, 10)}
    for share, recall, threshold in zip(known["fars"], known["recall"], known["thr"]):
        assert outcome.measures[f"recall@{share:g}"] == pytest.approx(recall, abs=5e-11)
        assert outcome.measures[f"threshold@{share:g}"] == pytest.approx(threshold, abs=5e-8)


# ------------------------------------------------------------------ made sets, against the loops


def made(seed, images=60, templates_=14, size=8):
    rng = np.random.default_rng(seed)
    template = rng.permutation(np.arange(images) % templates_) * 7 + 3
    media = rng.integers(0, 4, images)
    e, f = rng.normal(size=(2, images, size))
    return e, f, template, media, rng.uniform(0.1, 1, images)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("mirror", "weighted"), [(False, False), (True, True), (True, False)])
def test_pooling_equals_the_loops(seed, normalize, mirror, weighted, monkeypatch):
    monkeypatch.setattr(templates, "_ROWS", 9)  # several blocks, and templates larger than one
    e, f, template, media, quality = made(seed)
    extra = {"mirrored": f if mirror else None, "quality": quality if weighted else None}
    known = twin.pool(e, template, media, *extra.values(), normalize)
    for dtype, near in ((np.float64, 1e-14), (np.float32, 5e-7)):
        ids, units = templates.pool(
            e, template, media, normalize_images=normalize, dtype=dtype, **extra
        )
        assert ids.tolist() == list(known)
        np.testing.assert_allclose(units, list(known.values()), rtol=0, atol=near)


def test_pooling_does_not_depend_on_the_order_of_images():
    e, f, template, media, quality = made(3)
    order = np.random.default_rng(0).permutation(len(e))
    one = templates.pool(e, template, media, f, quality, dtype=np.float64)
    other = templates.pool(
        e[order], template[order], media[order], f[order], quality[order], dtype=np.float64
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_allclose(one[1], other[1], rtol=0, atol=1e-15)  # sums in another order


def test_media_are_means_and_not_normalised():
    """Three frames of one video count as one still, with the length they have."""
    e = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    _, units = templates.pool(e, [5] * 4, [1, 1, 1, 2], dtype=np.float64)
    np.testing.assert_allclose(units, [[2 / np.sqrt(5), 1 / np.sqrt(5)]], rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"template": [1, 2, 3]}, "template ids have shape"),
        ({"media": np.ones(4)}, "media ids have shape"),
        ({"quality": [1, 2, np.nan, 1]}, "not finite"),
        ({"quality": [1, 2]}, "detector scores have shape"),
        ({"mirrored": np.ones((3, 2))}, "3 features for 4"),
    ],
)
def test_pooling_refuses_lists_that_do_not_fit(change, said):
    given = {"features": np.ones((4, 2)), "template": [1, 1, 2, 2], "media": [0, 0, 0, 0]}
    with pytest.raises(InputError, match=said):
        templates.pool(**{**given, **change})


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pooling_names_the_image_that_is_not_finite(value, normalize):
    e = np.ones((6, 3))
    e[4, 1] = value
    with pytest.raises(InputError, match="features row 4 is not finite"):
        templates.pool(e, [3, 3, 2, 2, 1, 1], [0] * 6, normalize_images=normalize)


def listed(seed, n=400, count=30, subjects=6):
    rng = np.random.default_rng(seed)
    owner = np.arange(count) % subjects
    units = rng.normal(size=(subjects, 12))[owner] + 0.9 * rng.normal(size=(count, 12))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    ids = np.sort(rng.choice(1000, count, replace=False))
    first, second = rng.integers(0, count, (2, n))
    pairs = ijb_lists.Pairs(ids[first], ids[second], owner[first] == owner[second], "list", {})
    return ids, units, pairs, first, second


@pytest.mark.parametrize("direct", [True, False])
def test_listed_pairs_equal_the_loops(direct, monkeypatch):
    monkeypatch.setattr(listed_pairs, "_DIRECT", 0 if direct else 10**9)
    monkeypatch.setattr(listed_pairs, "_TILE", 64)
    monkeypatch.setattr(listed_pairs, "_CHUNK", 50)
    ids, units, pairs, first, second = listed(0)
    outcome = ijb.verify(ids, units, pairs, fars=(0.0, 0.01, 0.1, 0.5, 1.0))
    score = [twin.dot(units[i], units[j]) for i, j in zip(first, second)]
    for point in outcome.points:
        if point.convention == "strict":
            known = pairs_twin.tar_strict(score, pairs.same, point.target)
            assert (point.tar, point.far, point.false_accepts) == known
        else:
            known = pairs_twin.tar_reference(score, pairs.same, point.target)
            assert (point.tar, point.far) == known
    assert outcome.measures["auc"] == pytest.approx(pairs_twin.auc(score, pairs.same), abs=1e-12)
    assert outcome.measures["eer"] == pytest.approx(pairs_twin.eer(score, pairs.same), abs=1e-12)
    histogram = outcome.histogram
    assert histogram.same.sum() == pairs.same.sum()
    wrong = np.array(score)[~pairs.same]
    np.testing.assert_array_equal(histogram.different, np.histogram(wrong, histogram.edges)[0])
    top = max(range(len(score)), key=lambda i: -2 if pairs.same[i] else score[i])
    assert (outcome.hardest[0].a, outcome.hardest[0].b) == (pairs.first[top], pairs.second[top])


def figures(outcome):
    return [
        (p.target, p.convention, p.tar, p.far, p.false_accepts) for p in outcome.points
    ], outcome.measures


def test_order_sides_and_rotation_of_the_space_change_nothing():
    ids, units, pairs, _, _ = listed(1)
    known = figures(ijb.verify(ids, units, pairs))
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = ijb_lists.Pairs(
        pairs.first[order], pairs.second[order], pairs.same[order], "list", {}
    )
    swapped = ijb_lists.Pairs(pairs.second, pairs.first, pairs.same, "list", {})
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    assert figures(ijb.verify(ids, units, shuffled)) == known
    assert figures(ijb.verify(ids, units, swapped)) == known
    assert figures(ijb.verify(ids, units @ turn, pairs)) == known
    assert figures(ijb.verify(ids, units, pairs)) == known  # and nothing is remembered


def test_a_collapsed_model_scores_nothing():
    ids, units, pairs, _, _ = listed(2)
    same = np.repeat(units[:1], len(units), axis=0)
    same *= 1 + 1e-9 * np.random.default_rng(0).normal(size=same.shape)  # rounding decides nothing
    outcome = ijb.verify(ids, same, pairs, fars=(1e-3, 1e-1))
    assert set(outcome.tar().values()) == set(outcome.tar("reference").values()) == {0.0}
    assert any("COLLAPSED" in note for note in outcome.notes)
    found = identification.evaluate(same[:9], same, np.arange(9), np.arange(len(same)))
    assert set(found.rank().values()) == {0.0}


def test_a_zero_template_matches_nobody():
    ids, units, pairs, first, second = listed(3)
    units[4] = 0
    touched = ((first == 4) | (second == 4)) & pairs.same
    assert touched.any()
    outcome = ijb.verify(ids, units, pairs, fars=(1.0,))
    assert outcome.tar()[1.0] == 1 - touched.sum() / pairs.same.sum()
    assert any("1 templates have a zero vector" in note for note in outcome.notes)


def test_a_pair_of_an_unknown_template_is_named():
    ids, units, pairs, _, _ = listed(0)
    second = pairs.second.copy()
    second[7] = 4321
    broken = ijb_lists.Pairs(pairs.first, second, pairs.same, "pairs.txt", {})
    with pytest.raises(DataError, match=r"pairs.txt, line 8: template 4321 has no image \(1 ids"):
        ijb.verify(ids, units, broken)


def test_lines_are_counted_in_the_file(tmp_path):
    """Blank lines are none of the list and yet lines."""
    file = write(tmp_path / "pairs.txt", "3 3 1\n\n3 9 0\n3 5 0\n")
    pairs = ijb_lists.read_pairs(file)
    with pytest.raises(DataError, match=r"pairs.txt, line 3: template 9 has no image"):
        ijb.find_pairs(np.array([3, 5]), pairs)
    file = write(tmp_path / "pairs.txt", "\n3 3 1\n\n3 9 2\n")
    with pytest.raises(DataError, match=r"pairs.txt, line 4: the label is 2"):
        ijb_lists.read_pairs(file)


@pytest.mark.parametrize("line", [b"5,\xff", b"5,\0", b"5," + 200_000 * b"9"])
def test_galleries_that_are_no_text(tmp_path, line):
    (tmp_path / "G1.csv").write_bytes(b"T,S\n3,8\n" + line + b"\n")
    with pytest.raises(DataError, match=r"G1\.csv, line [13]: "):  # text is decoded in blocks
        ijb_lists.read_template_subjects(tmp_path / "G1.csv")


def test_galleries_name_the_line(tmp_path):
    file = write(tmp_path / "G1.csv", "T,S\n3,8,a\n3,8,b\n5,9,a\n\n7,8,a\n")
    lists = ijb_lists.read_template_subjects(file)
    with pytest.raises(DataError, match=r"G1.csv, line 4: template 5 has no image \(2 templates"):
        ijb_lists.check_templates(file, *lists, np.array([3]))
    known = np.array([3, 5, 7])
    ijb_lists.check_templates(file, *lists, known)
    with pytest.raises(
        DataError, match=r"line 6: subject 8 is enrolled with template 7 here and with 3 in line 2"
    ):
        ijb_lists.check_templates(file, *lists, known, unique=True)


def test_sparse_ids_are_found_as_dense_ones():
    ids = np.array([3, 10**7, 2 * 10**9])
    assert listed_pairs.places(ids, [10**7, 3, 3, 2 * 10**9], "list").tolist() == [1, 0, 0, 2]
    with pytest.raises(DataError, match="line 2: template 9 has"):
        listed_pairs.places(ids, [3, 9], "list")


def test_gallery_and_probes_against_the_loops():
    rng = np.random.default_rng(5)
    centre = rng.normal(size=(12, 6))
    probe_ids = rng.integers(0, 12, 40)
    probes = centre[probe_ids] + rng.normal(size=(40, 6))
    gallery_ids = np.arange(7)
    gallery = centre[:7] + 0.5 * rng.normal(size=(7, 6))
    ids = np.arange(47)
    units = np.concatenate([probes, gallery])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    fpirs = (0.0, 0.05, 0.29, 1.0)
    outcome = ijb.identify(
        ids, units, (ids[:40], probe_ids), {"G1": (ids[40:], gallery_ids)}, fpirs=fpirs
    )
    ranks, tpir = twin.search_gallery(
        units[:40], probe_ids, units[40:], gallery_ids, (1, 5, 10), fpirs
    )
    assert outcome.part("G1").rank() == ranks
    assert outcome.tpir() == {f: pair[0] for f, pair in tpir.items()}
    assert outcome.tpir("reference") == {f: pair[1] for f, pair in tpir.items()}


def test_a_gallery_with_a_double_identity_is_refused():
    units = np.eye(4)
    with pytest.raises(InputError, match="holds 8 twice, at entries 1 and 3"):
        ijb.identify(
            np.arange(4), units, (np.array([0]), np.array([8])),
            {"G1": (np.array([1, 2, 3]), np.array([8, 9, 8]))},
        )  # fmt: skip


def test_intervals_hold_the_figure_and_shrink_with_more_templates():
    widths = []
    for count in (30, 300):
        ids, units, pairs, _, _ = listed(4, n=4000, count=count)
        outcome = ijb.verify(ids, units, pairs, fars=(0.1,), draws=100)
        (point,) = (p for p in outcome.points if p.convention == "strict")
        assert point.low <= point.tar <= point.high
        widths.append(point.high - point.low)
    assert 0 < widths[1] < widths[0] / 1.5
    again = ijb.verify(ids, units, pairs, fars=(0.1,), draws=100)
    assert again.points == outcome.points  # seeded


# ------------------------------------------------------------------------------------ files


def write(path, text):
    path.write_text(text)
    return path


def test_lists_are_read(tmp_path):
    media = write(tmp_path / "ijbb_face_tid_mid.txt", "1.jpg 7 70\r\n2.jpg 9 71\r\n\r\n")
    row = "1 2 3 4 5 6 7 8 9 10 0.5"
    points = write(tmp_path / "ijbb_name_5pts_score.txt", f"1.jpg {row}\n2.jpg {row}\n")
    pairs = write(tmp_path / "ijbb_template_pair_label.txt", "7 9 0\n9\t9 1\n7 7 1")
    images = ijb_lists.read_images(media, points)
    assert images.names == ["1.jpg", "2.jpg"]
    assert images.template.tolist() == [7, 9]
    assert images.points[1].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert images.quality.tolist() == [0.5, 0.5]
    read = ijb_lists.read_pairs(pairs)
    assert read.first.tolist() == [7, 9, 7]
    assert read.same.tolist() == [False, True, True]
    assert set(images.sha256) == {media.name, points.name}
    assert ijb_lists.find(tmp_path, "pairs") == pairs
    assert ijb_lists.find(tmp_path, "probes", optional=True) is None
    with pytest.raises(InputError, match="no file named"):
        ijb_lists.find(tmp_path, "probes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 1\n1 2\n", r"line 2: '1 2'; expected 3 whole numbers"),
        ("1 2 1\n3 4 0\n1 2 0 4\n", "line 3"),
        ("1 2 1\n\n3 x 0\n", "line 3: '3 x 0'"),
        ("1 2 1\n3 -4 0\n", "line 2"),
        ("1 2 1\n3 4.0 0\n", "line 2"),
        ("1 2 1 3\n4 0\n", "line 1"),
        ("1 2\n1 1 2\n1\n", "line 1"),
        ("1 2 1\n99999999999 4 0\n", "line 2"),
        ("1 2 1\n3 4 2\n", "line 2: the label is 2"),
        ("", "is empty"),
        ("1 2 1\n3 4 1\n", "all 2 pairs are same pairs"),
    ],
)
def test_a_wrong_line_of_pairs_is_named(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        ijb_lists.read_pairs(write(tmp_path / "pairs.txt", text))


def test_long_lists_are_read_piece_by_piece(tmp_path, monkeypatch):
    from gluonface.evaluation.files import text_tables

    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 10**6, (500, 2)), rng.integers(0, 2, 500)])
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows)
    for size in (7, 64, 1 << 20):
        monkeypatch.setattr(text_tables, "_BYTES", max(size, 40))
        read = ijb_lists.read_pairs(write(tmp_path / "pairs.txt", text))
        np.testing.assert_array_equal(np.column_stack([read.first, read.second, read.same]), rows)
    lines = text.splitlines()
    lines[321] = "1 2 three"
    with pytest.raises(DataError, match="line 322: '1 2 three'"):
        ijb_lists.read_pairs(write(tmp_path / "pairs.txt", "\n".join(lines)))


ROW = " 1 2 3 4 5 6 7 8 9 10 0.5\n"


@pytest.mark.parametrize(
    ("media", "points", "said"),
    [
        ("a 1 1\nb 2\n", None, "line 2: 'b 2'; expected image name, template id, media id"),
        ("a 1 1\nb 2 x\n", None, "line 2"),
        ("", None, "lists no image"),
        ("a 1 1\nb 2 2\n", f"a{ROW}", "lists 1 images and .* 2"),
        ("a 1 1\nb 2 2\n", f"a{ROW}c{ROW}", "line 2 is about c, but image 2 of .* is b"),
        ("a 1 1\n", "a 1 2 3\n", "line 1: .* expected 12 columns"),
        ("a 1 1\n", f"a{ROW[:-4]}nan\n", "line 1"),
    ],
)
def test_wrong_lists_of_images_are_named(tmp_path, media, points, said):
    media = write(tmp_path / "media.txt", media)
    points = points and write(tmp_path / "points.txt", points)
    with pytest.raises(DataError, match=said):
        ijb_lists.read_images(media, points)


def test_gallery_lists(tmp_path):
    good = write(tmp_path / "g.csv", "TEMPLATE,SUBJECT,X\n5,50,a\n5,50,b\n\n6,60,c\n")
    templates_, subjects = ijb_lists.read_template_subjects(good)
    assert (templates_.tolist(), subjects.tolist()) == ([5, 6], [50, 60])
    for text, said in (
        ("T,S\n5,50\n5,51\n", "line 3: template 5 belongs to subject 51 here and to 50"),
        ("T,S\n5\n", "line 2: '5'; expected template id, subject id"),
        ("T,S\n", "lists no template"),
    ):
        with pytest.raises(DataError, match=said):
            ijb_lists.read_template_subjects(write(tmp_path / "g.csv", text))
    with pytest.raises(InputError, match="there is no file"):
        ijb_lists.read_template_subjects(tmp_path / "none.csv")


# ------------------------------------------------------------ intervals of the mean over galleries


def two_galleries(seed, people=24, probes=120):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(people, 6))
    subjects = rng.integers(0, people, probes)
    units = np.concatenate(
        [
            centre[subjects] + 0.7 * rng.normal(size=(probes, 6)),
            centre + 0.5 * rng.normal(size=(people, 6)),
        ]
    )
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    enrolled = np.arange(people)
    galleries = {
        "G1": (probes + enrolled[: people // 2], enrolled[: people // 2]),
        "G2": (probes + enrolled[people // 2 :], enrolled[people // 2 :]),
    }
    return np.arange(len(units)), units, (np.arange(probes), subjects), galleries


def test_the_interval_of_the_mean_over_galleries_equals_the_loops():
    """Subjects are drawn once for both galleries: each draw gives one mean."""
    ids, units, probes, galleries = two_galleries(0)
    ranks, fpirs, draws = (1, 5), (0.1, 0.3), 40
    outcome = ijb.identify(ids, units, probes, galleries, ranks=ranks, fpirs=fpirs, draws=draws)
    people, person = np.unique(probes[1], return_inverse=True)
    rank_rates, tpirs = [], []
    for drawn in bootstrap.draw(len(people), draws):
        times = np.repeat(np.arange(len(person)), drawn[person])  # each search as often as drawn
        hits, mated, found = dict.fromkeys(ranks, 0), 0, []
        for templates_, subjects in galleries.values():
            score = units[probes[0][times]] @ units[templates_].T
            own = probes[1][times][:, None] == subjects
            known = own.any(axis=1)
            mate = np.where(own, score, -np.inf).max(axis=1)
            ahead = (np.where(own, -np.inf, score) >= mate[:, None]).sum(axis=1)
            best = np.where(own, -np.inf, score).max(axis=1)
            mated += known.sum()
            for rank in ranks:
                hits[rank] += (ahead[known] < rank).sum()
            rates = []
            for fpir in fpirs:
                limit = twin.strict_threshold(best[~known].tolist(), fpir)
                rates.append((known & (ahead == 0) & (mate > limit)).sum() / known.sum())
            found.append(rates)
        rank_rates.append([hits[rank] / mated for rank in ranks])
        tpirs.append(np.mean(found, axis=0))
    for figures, replicates in (
        (outcome.ranks, rank_rates),
        ([s for s in outcome.searches if s.convention == "strict"], tpirs),
    ):
        known = np.quantile(replicates, [0.025, 0.975], axis=0)
        np.testing.assert_allclose([(f.low, f.high) for f in figures], known.T, rtol=0, atol=1e-12)
    assert all(s.low is None for s in outcome.searches if s.convention == "reference")
    assert outcome.ranks[0].low < outcome.ranks[0].rate < outcome.ranks[0].high


def test_the_mean_is_surer_than_one_gallery():
    ids, units, probes, galleries = two_galleries(1, people=60, probes=600)
    outcome = ijb.identify(ids, units, probes, galleries, draws=100)
    for part in outcome.parts:
        wide = part.searches[1].high - part.searches[1].low
        assert outcome.searches[1].high - outcome.searches[1].low < wide
    assert "95 % interval" in outcome.table()
