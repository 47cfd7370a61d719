import base64
import dataclasses
import html.parser
import json
import re
import types

import numpy as np
import pytest

from gluonface._compat import cv2
from gluonface.cli import eval_common, main
from gluonface.errors import DataError, InputError
from gluonface.evaluation.protocols import identification, ifrt, megaface
from gluonface.evaluation.report import blocks
from gluonface.evaluation.report.protocol_report import Entry, name_errors, write_outcomes
from gluonface.evaluation.results.outcome import Hard
from gluonface.evaluation.scores import all_pairs


class Page(html.parser.HTMLParser):
    """The tables, plots, images and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tables, self.plots, self.images, self.text, self.open = [], [], [], "", []
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "img":
            self.images.append((attributes["alt"], attributes["src"]))
        if attributes.get("role") == "img":
            self.plots.append(attributes["aria-label"])
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text += data

    def table(self, *begin):
        """Return the rows of the one table with a row of headings that begins so, from it on."""
        (found,) = [t[i:] for t in self.tables for i in (0, 1) if t[i : i + 1]
                    and t[i][: len(begin)] == list(begin)]  # fmt: skip
        return found


def made_groups(draws=0):
    random = np.random.RandomState(0)
    identity = np.repeat(np.arange(30), 4)
    features = random.randn(30, 16)[identity] + 0.8 * random.randn(120, 16)
    group = np.where(identity < 15, "a <b>", "c")
    return ifrt.evaluate(features, identity, group, fars=(1e-3, 1e-2), draws=draws)


def written(folder, *outcomes, **options):
    return Page(write_outcomes(folder, outcomes, **options))


def test_a_page_of_groups(tmp_path):
    outcome = dataclasses.replace(
        made_groups(draws=20), inputs={"made.npz": "ab" * 32}, flip="sum", preprocessing="inside"
    )
    page = written(tmp_path, outcome, model={"name": "r&d"}, command="gluonface eval ifrt")
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "evaluation.json"}
    assert json.loads((tmp_path / "evaluation.json").read_text())["results"][0]["name"] == "ALL"
    assert not re.search(r"<script|https?://|url\(|@import|src=\"(?!data:)|<b>\S* ?</td", page.raw)
    assert "prefers-color-scheme: dark" in page.raw
    for said in ("IFRT: r&d", "gluonface eval ifrt", "sum", "inside"):
        assert said in page.text
    assert ["made.npz", "ab" * 32] in page.table("input", "SHA-256")

    rows = page.table("group", "images")[1:]
    assert [row[0] for row in rows] == ["ALL", "a <b>", "c"]
    own = outcome.part("c").tar()
    assert rows[2][5] == f"{own[1e-3]:.6f}"
    lost = outcome.part("c").measures["FNMR at ALL's 0.001"]
    assert rows[2][8] == f"{lost:.6f}"
    kinds = [said.split(".")[0] for said in page.plots]
    assert kinds == ["ROC", "DET", "Scores: ALL", "Scores: a <b>", "Scores: c"]
    assert f"TAR {outcome.tar()[0.01]:.4f} at FAR 0.01" in page.plots[0]


def test_both_conventions_stand_side_by_side(tmp_path):
    outcome = made_groups(draws=20)
    page = written(tmp_path, dataclasses.replace(outcome, parts=()))
    head, *rows = page.table("FAR", "TAR")
    assert head == [
        "FAR", "TAR", "95 % interval", "realised FAR", "false accepts", "allowed", "threshold",
        "TAR", "realised FAR", "false accepts", "threshold",
    ]  # fmt: skip
    points = {(p.convention, p.target): p for p in outcome.points}
    for target, row in zip((1e-3, 1e-2), rows):
        strict, nearest = points["strict", target], points["reference", target]
        assert row[1] == f"{strict.tar:.6f}"
        assert row[2] == f"{strict.low:.4f} to {strict.high:.4f}"
        assert float(row[3]) == pytest.approx(strict.far, rel=6e-3)  # three digits
        assert row[4:7] == [str(strict.false_accepts), str(strict.allowed),
                            f"{strict.threshold:.4f}"]  # fmt: skip
        assert row[7] == f"{nearest.tar:.6f}"
        assert float(row[8]) == pytest.approx(nearest.far, rel=6e-3)
        assert row[9] == str(nearest.false_accepts)


def search(unknown=5):
    random = np.random.RandomState(1)
    centres = random.randn(20, 16)
    ids = np.concatenate([np.repeat(np.arange(20), 2), np.arange(100, 100 + unknown)])
    probes = np.concatenate([np.repeat(centres, 2, axis=0), random.randn(unknown, 16)])
    probes = probes + random.randn(*probes.shape)
    return identification.evaluate(probes, centres, ids, np.arange(20), fpirs=(0.2,), ranks=(1, 5))


def test_a_page_of_a_search(tmp_path):
    outcome = search()
    page = written(tmp_path, outcome)
    assert [said.split(".")[0] for said in page.plots] == [
        "TPIR over FPIR", "FNIR over FPIR", "CMC", "Scores"
    ]  # fmt: skip
    assert page.table("rank", "rate")[1] == ["1", f"{outcome.rank()[1]:.6f}", *(
        str(n) for n in (outcome.ranks[0].hits, 40))]  # fmt: skip
    row = page.table("FPIR", "TPIR")[1]
    strict, reference = outcome.searches
    assert row[1:5] == [f"{strict.tpir:.6f}", f"{strict.fpir:.3g}", "1", "1"]
    assert row[6:8] == [f"{reference.tpir:.6f}", f"{reference.fpir:.3g}"]
    assert "best mate: 40" in page.text
    assert outcome.hardest, "the case has errors"
    assert page.text.count("A wrong entry scores ") == len(outcome.hardest)
    assert page.text.count("right entry: entry") == len(outcome.hardest)
    for hard in outcome.hardest:
        assert hard.mate == hard.a // 2  # person i has probes 2i and 2i + 1, and entry i
        assert hard.mate != hard.b
        assert hard.score >= hard.mate_score


def test_the_curves_of_a_search_are_its_rates():
    outcome = search()
    assert outcome.cmc[0] == outcome.rank()[1]
    assert outcome.cmc[4] == outcome.rank()[5]
    assert outcome.cmc[-1] == 1
    # at a FPIR of 0.2 of 5 searches: one false positive, the last corner before a second
    strict = outcome.searches[0]
    at = outcome.roc.tpr[outcome.roc.false_accepts <= strict.false_accepts].max()
    assert at == pytest.approx(strict.tpir)
    assert outcome.roc.tpr[-1] == pytest.approx(outcome.rank()[1]), "more is found at no threshold"
    assert search(unknown=0).roc is None


def test_distractors(tmp_path):
    random = np.random.RandomState(2)
    person = np.repeat(np.arange(5), 4)
    probes = random.randn(5, 16)[person] + 0.8 * random.randn(20, 16)
    outcome = megaface.evaluate(
        probes, person, random.randn(300, 16), fars=(1e-3,), ranks=(1, 2, 5)
    )
    assert outcome.cmc[[0, 1, 4]] == pytest.approx([r.rate for r in outcome.ranks])
    page = written(tmp_path, outcome)
    assert [said.split(".")[0] for said in page.plots] == ["ROC", "DET", "CMC", "Scores"]


def face(number):
    return np.full((112, 112, 3), (number, 255 - number, 40), np.uint8)


def test_the_worst_errors_have_names_and_images(tmp_path, caplog):
    outcome = dataclasses.replace(made_groups(), parts=())

    def read(row):
        if row == outcome.hardest[0].b:
            raise DataError("face 7 is broken")
        return [face(row), face(row + 1)] if row == outcome.hardest[0].a else [face(row)]

    def entry(row):
        return Entry(f"face {row}", lambda: read(row))

    def bound(_, hard):
        return entry(hard.a), entry(hard.b)

    named = name_errors(outcome, bound)
    assert named.hardest[0].name_a == f"face {outcome.hardest[0].a}"
    page = written(tmp_path, named, entries=bound)
    shown = [alt for alt, _ in page.images]
    first, broken = (f"face {row}" for row in (outcome.hardest[0].a, outcome.hardest[0].b))
    assert shown[:2] == [first, first]  # of a template of two images both
    assert broken not in shown
    assert "face 7 is broken" in caplog.text
    wanted = [f"face {row}" for hard in outcome.hardest[1:] for row in (hard.a, hard.b)]
    assert [alt for alt in shown[2:] if alt != first] == [
        w for w in wanted if w not in (first, broken)
    ]
    for alt, source in page.images[2:5]:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1]
        assert abs(image.astype(int) - face(int(alt.split()[1]))).max() <= 6  # JPEG


def test_what_is_said_of_an_error():
    point = made_groups().points[0]
    points = [dataclasses.replace(point, target=t, threshold=s, convention="strict")
              for t, s in ((1e-3, 0.6), (1e-2, 0.4))]  # fmt: skip
    points.append(dataclasses.replace(point, target=1e-4, threshold=0.1, convention="reference"))

    def said(kind, score):
        return blocks.verdict(Hard(kind, 0, 1, score), points)

    assert said("highest different", 0.7) == ("A false accept from FAR 0.001 on.", True)
    assert said("highest different", 0.6) == ("A false accept from FAR 0.01 on.", True)
    assert said("highest different", 0.4) == ("Accepted at none of the FARs.", False)
    assert said("lowest same", 0.61) == ("Accepted at every FAR.", False)
    assert said("lowest same", 0.6) == ("A false reject up to FAR 0.001.", True)
    assert said("lowest same", 0.4) == ("A false reject up to FAR 0.01.", True)


def test_collapsed_features_and_no_results(tmp_path):
    outcome, _ = all_pairs.compare_all(
        np.ones((20, 4)), np.repeat(np.arange(5), 4), fars=(0.1,)
    )  # fmt: skip
    page = written(tmp_path, outcome)
    assert outcome.notes[0] in page.text
    probes = np.ones((6, 4))
    outcome = identification.evaluate(
        probes, np.ones((3, 4)), np.array([0, 1, 2, 7, 8, 9]), np.arange(3)
    )
    page = written(tmp_path, outcome)
    assert page.table("rank", "rate")[1][1] == "0.000000"
    with pytest.raises(InputError, match="no results"):
        write_outcomes(tmp_path, [])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        write_outcomes(tmp_path / "file" / "report", [outcome])


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


def test_commands_show_the_images_of_the_worst_errors(faces, tmp_path):
    page = tmp_path / "out" / "index.html"
    assert main(["eval", "folder", *MODEL, "--fars", "0.1"]) == 0
    check_faces(Page(page), 40)
    assert "cd" * 32 in Page(page).raw
    lines = [f"{a} {b} {int(a[:2] == b[:2])}\n" for i, a in enumerate(faces) for b in faces[:i]]
    (tmp_path / "pairs.txt").write_text("".join(lines))
    assert main(["eval", "folder", *MODEL, "--pairs", "pairs.txt", "--fars", "0.1"]) == 0
    assert len(Page(page).images) == 20
    (tmp_path / "g.txt").write_text("".join(f"{n}\t{n[:2]}\n" for n in faces[::3]))
    (tmp_path / "p.txt").write_text(
        "".join(f"{n}\t{n[:2]}\n" for n in faces if n not in faces[::3])
    )
    command = ["identification", *MODEL, "--gallery", "g.txt", "--probes", "p.txt"]
    assert main(["eval", *command]) == 0
    check_faces(Page(page), 3)
    shown, gallery = [alt for alt, _ in Page(page).images], faces[::3]
    assert len(shown) % 3 == 0
    for probe, wrong, right in zip(shown[::3], shown[1::3], shown[2::3]):
        assert {wrong, right} <= set(gallery)
        assert probe not in gallery
        assert wrong[:2] != probe[:2] == right[:2]
    (tmp_path / "l.txt").write_text("".join(f"{n} {n[:2]} {n < 'p3'}\n" for n in faces))
    assert main(["eval", "ifrt", *MODEL, "--list", "l.txt", "--fars", "0.1"]) == 0
    check_faces(Page(page), 60)


def test_megaface_and_ijb_show_their_images(faces, tmp_path):
    probes, distractors = faces[:9], faces[9:]
    (tmp_path / "p.json").write_text(json.dumps({"path": probes, "id": [n[:2] for n in probes]}))
    for name, chosen in (("d6.json", distractors), ("d3.json", distractors[::-1][:3])):
        (tmp_path / name).write_text(json.dumps({"path": chosen}))
    command = ["megaface", *MODEL, "--distractor-images", "faces", "--probe-list", "p.json"]
    command += ["--distractor-list", "d6.json", "d3.json", "--fars", "0.1", "--name", "made"]
    assert main(["eval", *command]) == 0
    page = Page(tmp_path / "out" / "index.html")
    check_faces(page, 40)
    assert "MegaFace made d3.json" in page.text
    results = json.loads((tmp_path / "out" / "evaluation.json").read_text())["results"]
    for result, listed in zip(results, (distractors, distractors[::-1][:3])):
        for hard in result["hardest"]:
            sides = (probes, listed if hard["kind"] == "highest different" else probes)
            names = [side[hard[k]] for side, k in zip(sides, "ab")]
            assert [hard["name_a"], hard["name_b"]] == names

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
    page = Page(tmp_path / "out" / "index.html")
    assert len(page.images) >= 42
    for alt, source in page.images:
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        shown = int(cv2.imdecode(data, 1)[50, 50, 2])
        assert abs(shown - 16 * (int(alt.removeprefix("template ")) - 10)) <= 6
