import base64
import dataclasses
import json
import re
import types

import numpy as np
import pytest
from evaluation_cases import search_with_unknown

from gluonface._compat import cv2
from gluonface.cli import eval_common, main
from gluonface.errors import InputError
from gluonface.evaluation import evaluate
from gluonface.evaluation.protocols import identification, megaface, verification
from gluonface.evaluation.protocols.all_pairs import compare_all
from gluonface.evaluation.report import report_folder
from gluonface.evaluation.report.report_folder import write_report
from gluonface.evaluation.report.worst_errors import pack_sides

FLIPS = ("none", "sum", "concat")


@pytest.fixture
def written(tmp_path, read_page):
    """Return a function that writes a report and returns its page."""

    def written(*results, **options):
        return read_page(write_report(tmp_path, results, **options))

    return written


def test_a_page_of_groups(tmp_path, written, groups):
    result = dataclasses.replace(
        groups(draws=20), inputs={"made.npz": "ab" * 32}, flip="sum", preprocessing="inside"
    )
    page = written(result, model={"name": "r&d"}, command="gluonface eval ifrt")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "evaluation.json"}
    assert json.loads((tmp_path / "evaluation.json").read_text())["results"][0]["name"] == "ALL"
    assert not re.search(r"<script|https?://|url\(|@import|src=\"(?!data:)|<b>\S* ?</td", page.raw)
    assert "prefers-color-scheme: dark" in page.raw
    for said in ("IFRT: r&d", "gluonface eval ifrt", "sum", "inside"):
        assert said in page.text
    assert ["made.npz", "ab" * 32] in page.table("input", "SHA-256")

    rows = page.table("group", "images")[1:]
    assert [row[0] for row in rows] == ["ALL", "a <b>", "c"]
    own = result.subset("c").tar_by_far()
    assert rows[2][5] == f"{own[1e-3]:.6f}"
    lost = result.subset("c").measures["FNMR at ALL's 0.001"]
    assert rows[2][8] == f"{lost:.6f}"
    kinds = [said.split(".")[0] for said in page.plots]
    assert kinds == ["ROC", "DET", "Scores: ALL", "Scores: a <b>", "Scores: c"]
    assert f"TAR {result.tar_by_far()[0.01]:.4f} at FAR 0.01" in page.plots[0]


def test_a_page_of_a_search(tmp_path, written):
    result = search_with_unknown()
    page = written(result)
    assert [said.split(".")[0] for said in page.plots] == [
        "TPIR over FPIR", "FNIR over FPIR", "CMC", "Scores"
    ]  # fmt: skip
    assert page.table("rank", "rate")[1] == ["1", f"{result.rate_by_rank()[1]:.6f}", *(
        str(n) for n in (result.ranks[0].hits, 40))]  # fmt: skip
    row = page.table("FPIR", "TPIR")[1]
    strict, reference = result.searches
    assert row[1:5] == [f"{strict.tpir:.6f}", f"{strict.fpir:.3g}", "1", "1"]
    assert row[6:8] == [f"{reference.tpir:.6f}", f"{reference.fpir:.3g}"]
    assert "best mate: 40" in page.text
    assert result.worst_errors, "the case has errors"
    assert page.text.count("A wrong entry scores ") == len(result.worst_errors)
    assert page.text.count("right entry: entry") == len(result.worst_errors)
    for error in result.worst_errors:
        assert error.mate == error.a // 2  # person i has probes 2i and 2i + 1, and entry i
        assert error.mate != error.b
        assert error.score >= error.mate_score


def test_distractors(tmp_path, written):
    random = np.random.RandomState(2)
    person = np.repeat(np.arange(5), 4)
    probes = random.randn(5, 16)[person] + 0.8 * random.randn(20, 16)
    result = megaface.evaluate(probes, person, random.randn(300, 16), fars=(1e-3,), ranks=(1, 2, 5))
    assert result.cmc[[0, 1, 4]] == pytest.approx([r.rate for r in result.ranks])
    page = written(result)
    assert [said.split(".")[0] for said in page.plots] == ["ROC", "DET", "CMC", "Scores"]


def test_collapsed_features_and_no_results(tmp_path, written):
    result, _ = compare_all(
        np.ones((20, 4)), np.repeat(np.arange(5), 4), fars=(0.1,)
    )  # fmt: skip
    page = written(result)
    assert result.notes[0] in page.text
    probes = np.ones((6, 4))
    result = identification.evaluate(
        probes, np.ones((3, 4)), np.array([0, 1, 2, 7, 8, 9]), np.arange(3)
    )
    page = written(result)
    assert page.table("rank", "rate")[1][1] == "0.000000"
    with pytest.raises(InputError, match="no results"):
        write_report(tmp_path, [])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        write_report(tmp_path / "file" / "report", [result])


def face(number):
    return np.full((112, 112, 3), (number, 255 - number, 40), np.uint8)


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Make a folder of 5 people with 3 images, and a model in which p0 and p1 look alike."""
    names = [f"p{i // 3}/{i}.png" for i in range(15)]
    for i, name in enumerate(names):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), face(16 * i)[:, :, ::-1])
    random = np.random.RandomState(3)
    centres = random.randn(5, 8)
    centres[1] = centres[0] + 0.1
    outputs = np.repeat(centres, 3, axis=0) + 0.5 * random.randn(15, 8)

    def embed(args, model, pictures, name="images"):
        rows = [int(pictures.read(i)[0, 0, 0]) // 16 for i in range(len(pictures))]
        return types.SimpleNamespace(e=outputs[rows], f=outputs[rows], sha256="cd" * 32)

    card = types.SimpleNamespace(card={"name": "stand-in", "preprocessing": "inside"})
    monkeypatch.setattr(eval_common, "open_model", lambda args: (card, None, None))
    monkeypatch.setattr(eval_common, "embed", embed)
    monkeypatch.chdir(tmp_path)
    return names


def check_faces(page, least):
    """Images stand under the names of their files, and show what the files hold."""
    assert len(page.images) >= least
    for alt, source in page.images:
        number = int(re.search(r"(\d+)\.png$", alt)[1])
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        assert abs(int(cv2.imdecode(data, 1)[50, 50, 2]) - 16 * number) <= 6


MODEL = ("--model", "x", "--images", "faces", "--report", "out")


def test_commands_show_the_images_of_the_worst_errors(faces, tmp_path, read_page):
    page = tmp_path / "out" / "index.html"
    assert main(["eval", "folder", *MODEL, "--fars", "0.1"]) == 0
    check_faces(read_page(page), 40)
    assert "cd" * 32 in read_page(page).raw
    lines = [f"{a} {b} {int(a[:2] == b[:2])}\n" for i, a in enumerate(faces) for b in faces[:i]]
    (tmp_path / "pairs.txt").write_text("".join(lines))
    assert main(["eval", "folder", *MODEL, "--pairs", "pairs.txt", "--fars", "0.1"]) == 0
    assert len(read_page(page).images) == 20
    (tmp_path / "g.txt").write_text("".join(f"{n}\t{n[:2]}\n" for n in faces[::3]))
    (tmp_path / "p.txt").write_text(
        "".join(f"{n}\t{n[:2]}\n" for n in faces if n not in faces[::3])
    )
    command = ["identification", *MODEL, "--gallery", "g.txt", "--probes", "p.txt"]
    assert main(["eval", *command]) == 0
    check_faces(read_page(page), 3)
    shown, gallery = [alt for alt, _ in read_page(page).images], faces[::3]
    assert len(shown) % 3 == 0
    for probe, wrong, right in zip(shown[::3], shown[1::3], shown[2::3]):
        assert {wrong, right} <= set(gallery)
        assert probe not in gallery
        assert wrong[:2] != probe[:2] == right[:2]
    (tmp_path / "l.txt").write_text("".join(f"{n} {n[:2]} {n < 'p3'}\n" for n in faces))
    assert main(["eval", "ifrt", *MODEL, "--list", "l.txt", "--fars", "0.1"]) == 0
    check_faces(read_page(page), 60)


def test_megaface_and_ijb_show_their_images(faces, tmp_path, read_page):
    probes, distractors = faces[:9], faces[9:]
    (tmp_path / "p.json").write_text(json.dumps({"path": probes, "id": [n[:2] for n in probes]}))
    for name, chosen in (("d6.json", distractors), ("d3.json", distractors[::-1][:3])):
        (tmp_path / name).write_text(json.dumps({"path": chosen}))
    command = ["megaface", *MODEL, "--distractor-images", "faces", "--probe-list", "p.json"]
    command += ["--distractor-list", "d6.json", "d3.json", "--fars", "0.1", "--name", "made"]
    assert main(["eval", *command]) == 0
    page = read_page(tmp_path / "out" / "index.html")
    check_faces(page, 40)
    assert "MegaFace made d3.json" in page.text
    results = json.loads((tmp_path / "out" / "evaluation.json").read_text())["results"]
    for result, listed in zip(results, (distractors, distractors[::-1][:3])):
        for error in result["hardest"]:
            sides = (probes, listed if error["kind"] == "highest different" else probes)
            names = [side[error[k]] for side, k in zip(sides, "ab")]
            assert [error["name_a"], error["name_b"]] == names

    meta = tmp_path / "meta"
    meta.mkdir()
    points = "38.2946 51.6963 73.5318 51.5014 56.0252 71.7366 41.5493 92.3655 70.7299 92.2041"
    files = {  # template 10 + i of image i, so that an image's number says its template
        "face_tid_mid.txt": [f"{n} {10 + i} {i}" for i, n in enumerate(faces)],
        "name_5pts_score.txt": [f"{n} {points} 0.9" for n in faces],
        "template_pair_label.txt": [f"{10 + i} {10 + j} {int(i // 3 == j // 3)}"
                                    for i in range(15) for j in range(i)],
        "1N_gallery_G1.csv": ["T,S", "10,0", "13,1"],
        "1N_gallery_G2.csv": ["T,S", "16,2", "19,3"],
        "1N_probe_mixed.csv": ["T,S", *(f"{10 + i},{i // 3}" for i in range(12) if i % 3)],
    }  # fmt: skip
    for name, lines in files.items():
        (meta / f"ijbc_{name}").write_text("\n".join(lines) + "\n")
    assert main(["eval", "ijb", *MODEL, "--meta", "meta", "--joint", "--fars", "0.1"]) == 0
    page = read_page(tmp_path / "out" / "index.html")
    assert len(page.images) >= 42
    for alt, source in page.images:
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        shown = int(cv2.imdecode(data, 1)[50, 50, 2])
        assert abs(shown - 16 * (int(alt.removeprefix("template ")) - 10)) <= 6


# --- pair verification ---


def picture(path):
    image = cv2.imread(str(path))
    assert image is not None, path
    return image


@pytest.fixture(scope="module")
def of_pack(tmp_path_factory, evaluated):
    """Return the folder of the report of `evaluated`, written twice over."""
    results, pack = evaluated
    folder = tmp_path_factory.mktemp("report") / "a" / "b"
    write_report(folder, results[:1], sides=pack_sides({"made": pack}))
    card = {"name": "block-means", "scale": 0.5}
    assert write_report(folder, results, card, pack_sides({"made": pack})) == folder / "index.html"
    return folder


def test_the_folder_holds_data_pictures_and_a_page(of_pack):
    names = {"index.html", "verification.json", "made-roc.png"}
    names |= {f"made-{flip}-{kind}.png" for flip in FLIPS for kind in ("scores", "errors")}
    assert {path.name for path in of_pack.iterdir()} == names
    facts = json.loads((of_pack / "verification.json").read_text())
    assert [row["flip"] for row in facts["results"]] == list(FLIPS)
    assert facts["model"]["name"] == "block-means"
    for name in names - {"index.html", "verification.json"}:
        image = picture(of_pack / name)
        assert (image[0] == 255).all(), f"{name} has a white background"
        assert (image < 128).any(), f"{name} is empty"


def test_the_page_needs_no_other_file(of_pack, evaluated, read_page):
    results, _ = evaluated
    page = read_page(of_pack / "index.html")
    assert page.open == []  # every element is closed
    assert page.links == []
    shown = sum(len(result.hardest(10)) for result in results)
    assert len(page.sources) == 2 * shown
    assert [said.split(".")[0] for said in page.plots] == [
        "ROC",
        "DET",
        *(f"Scores: flip {flip}" for flip in FLIPS),
    ]
    for source in page.sources:
        head, _, data = source.partition(",")
        assert head == "data:image/png;base64"
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1) is not None
    raw = (of_pack / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|url\(|@import", raw)
    assert "prefers-color-scheme: dark" in raw
    cells = {cell for table in page.tables for row in table for cell in row}
    for result in results:
        assert f"{result.accuracy:.4f} ± {result.accuracy_std:.4f}" in cells
    assert "block-means" in page.text


def test_each_hard_error_shows_both_images_the_score_and_the_truth(of_pack, evaluated, read_page):
    results, pack = evaluated
    page = read_page(of_pack / "index.html")
    faces = page.sources
    for place, call in enumerate(results[0].hardest(10)):
        truth = "the same person" if call.same else "different people"
        sign = "above" if call.accepted else "not above"
        said = f"They are {truth}. Score {call.score:.3f}, {sign} the threshold"
        assert f"{call.kind}{said} {call.threshold:.3f}. Pair {call.index}" in page.text
        for side in (0, 1):
            data = base64.b64decode(faces[2 * place + side].partition(",")[2])
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[:, :, ::-1]
            np.testing.assert_array_equal(decoded, pack.images(call.index)[side])


def test_the_title_says_how_many_errors_there_are(noisy_pairs):
    def title(noise, n=200):
        e, _, issame = noisy_pairs(n, seed=3, noise=noise)
        result = evaluate(e[0::2], e[1::2], issame)
        errors = sum(call.error for call in result.calls())
        return errors, report_folder.errors_title(result, len(result.hardest(10)))

    errors, said = title(1.0)
    assert errors > 10
    assert said == f"the 10 hardest of {errors} errors in 200 pairs"
    assert title(0.05) == (0, "no errors in 200 pairs; the 10 closest calls")
    few = [title(noise) for noise in (0.3, 0.4, 0.5, 0.55, 0.6)]
    assert all(
        said == (f"all {n} errors of 200 pairs, hardest first") for n, said in few if 1 < n <= 10
    )
    assert any(1 < n <= 10 for n, _ in few)


def test_no_errors_is_said_and_the_closest_calls_are_shown(
    tmp_path, make_pack, pixel_embedder, read_page
):
    pack = make_pack(pairs=40, noise=2)
    result = verification.evaluate_pack(pixel_embedder, pack, ("sum",))["sum"]
    assert result.accuracy == 1
    page = read_page(write_report(tmp_path, [result], sides=pack_sides({"made": pack})))
    assert "no errors in 40 pairs; the 10 closest calls" in page.text
    assert page.text.count("true accept") + page.text.count("true reject") == 10
    assert len(page.sources) == 20


def test_one_kind_of_pairs_has_no_roc(tmp_path, make_pack, pixel_embedder, read_page):
    pack = make_pack(issame=[True] * 20)
    result = verification.evaluate_pack(pixel_embedder, pack, ("none",))["none"]
    page = read_page(write_report(tmp_path, [result], sides=pack_sides({"made": pack})))
    assert not (tmp_path / "made-roc.png").exists()
    assert "all 20 pairs are same pairs" in page.text
    with pytest.raises(InputError, match="no ROC to draw"):
        result.plot_roc(tmp_path / "x.png")


def test_stored_embeddings_have_no_pictures_of_pairs(tmp_path, noisy_pairs, read_page):
    e, f, issame = noisy_pairs(60, seed=0)
    results = verification.evaluate_variants(e, f, issame, ("none", "sum")).values()
    page = read_page(write_report(tmp_path, results))
    assert not page.sources
    assert len(page.plots) == 4
    assert not list(tmp_path.glob("*errors.png"))
    assert "stored embeddings" in page.text
    assert "Pair " in page.text


def test_names_are_text_and_never_markup_or_paths(tmp_path, noisy_pairs, read_page):
    e, _, issame = noisy_pairs(60, seed=0)
    name = "../../<script>alert(1)</script> & co"
    result = dataclasses.replace(evaluate(e[0::2], e[1::2], issame), name=name, flip="none")
    folder = tmp_path / "in" / "here"
    page = read_page(write_report(folder, [result], model={"name": "<b>", "notes": ["<i>"]}))
    assert name in page.text
    assert not re.search("<script|<i>|<h1>[^/]*<b>", page.raw)
    assert "&lt;b&gt;" in page.raw
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
    assert list((tmp_path / "in").iterdir()) == [folder]


def test_a_folder_that_cannot_be_made(tmp_path, evaluated):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        write_report(tmp_path / "file" / "report", evaluated[0])
    with pytest.raises(InputError, match="no results"):
        write_report(tmp_path, [])
