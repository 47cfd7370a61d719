"""pack-pairs, eval verification, eval identification and eval ijb on sets in published forms."""

import json
import lzma
import pathlib

import numpy as np
import pytest
from pair_files import (
    CFP,
    FOLDS,
    PAIRS,
    SAME,
    WANTED,
    lfw_line,
    write_cfp,
    write_pack,
    write_people,
    write_rfw,
)

from gluonface.cli import main
from gluonface.data import VerificationPack, images, open_pairs
from gluonface.data.verification_pack import is_pack
from gluonface.evaluation.protocols import verification

EXPECTED = pathlib.Path(__file__).resolve().parents[3] / "shared/reference/formats/expected.json"
CASES = json.loads(EXPECTED.read_text())["cases"] if EXPECTED.is_file() else {}
SMALL = ["--size", "24"]


class Means:
    """Block means of the pixels in place of a network."""

    card = {"name": "means", "preprocessing": "inside", "embedding_size": 48}  # noqa: RUF012
    embedding_size = 48

    @classmethod
    def load(cls, source, ctx=None, **options):
        return cls()

    def embed_views(self, batches, batch_size):
        batches = [batches] if isinstance(batches, np.ndarray) else batches
        found = [[], []]
        for batch in batches:
            for view, x in zip(found, (batch, batch[:, :, ::-1])):
                means = x.reshape(len(x), 4, 28, 4, 28, 3).mean(axis=(2, 4)).reshape(len(x), -1)
                view.append((means - 128).astype(np.float32))
        return tuple(map(np.concatenate, found))

    def embed(self, batches, flip, batch_size):
        return self.embed_views(batches, batch_size)[0]


@pytest.fixture
def means(monkeypatch):
    import gluonface.deploy

    monkeypatch.setattr(gluonface.deploy, "Embedder", Means, raising=False)


def pack(*words):
    return main(["data", "pack-pairs", *map(str, words)])


def verify(*words):
    return main(["eval", "verification", "--model", "x", "--flip", "none", *map(str, words)])


# --- pack-pairs


def test_pack_pairs_keeps_folds_and_groups_and_prints_them(tmp_path, capsys):
    people = write_people(tmp_path / "people")
    (tmp_path / "x.csv").write_text(
        "first,second,same,fold,race\n"
        + "\n".join(
            f"{a[0]}/{a[0]}_{a[1]:04d},{b[0]}/{b[0]}_{b[1]:04d},{int(s)},{f},{'xy'[n % 2]}"
            for n, ((a, b, s), f) in enumerate(zip(PAIRS, FOLDS))
        )
    )
    out, counts = tmp_path / "x.bin", tmp_path / "x.json"
    for root in ([people], ["--root", people]):
        words = [root[0]] if len(root) == 1 else []
        more = root if len(root) == 2 else []
        assert pack(tmp_path / "x.csv", *words, out, *more, *SMALL, "--json", counts) == 0
        printed = capsys.readouterr().out
        assert "8 pairs, 4 same, 4 different" in printed
        assert "folds (same + different): 0: 2 + 2, 1: 2 + 2" in printed
        found = json.loads(counts.read_text())
        assert found["groups"] == {"x": [2, 2], "y": [2, 2]}
        pairs = open_pairs(out)
        assert [pairs.images(i) for i in range(8)] == WANTED
        assert pairs.folds.tolist() == FOLDS


@pytest.mark.parametrize("protocol", ["FF", "FP"])
def test_trees_are_packed_without_a_root(tmp_path, protocol, capsys):
    write_cfp(tmp_path / "cfp")
    assert pack(tmp_path / "cfp", tmp_path / "x.bin", "--protocol", protocol, *SMALL) == 0
    count = sum(len(pairs) for fold in CFP[protocol].values() for pairs in fold.values())
    assert len(VerificationPack.load(tmp_path / "x.bin")) == count
    assert pack(tmp_path / "cfp", tmp_path / "x.bin", *SMALL) == 2
    assert "--protocol FF or FP" in capsys.readouterr().err
    write_rfw(tmp_path / "rfw")
    assert pack(tmp_path / "rfw", tmp_path / "x.bin", *SMALL) == 0
    loaded = VerificationPack.load(tmp_path / "x.bin")
    assert loaded.groups == ["African"] * 8 + ["Asian"] * 8
    assert loaded.group_lists


def test_wrong_use_of_pack_pairs(tmp_path, capsys):
    people = write_people(tmp_path / "people")
    (tmp_path / "a.txt").write_text("\n".join(lfw_line(*one) for one in PAIRS))
    for words, message in (
        ([tmp_path / "a.txt"], "expected PAIRS and OUT"),
        ([tmp_path / "a.txt", tmp_path / "none", tmp_path / "x.bin"], "neither a list of pairs"),
        ([tmp_path / "a.txt", people, tmp_path / "x.bin", "--root", people], "two folders"),
        ([tmp_path / "a.txt", people, tmp_path / "x.bin", "--columns", "x"], "first=NAME"),
        ([tmp_path / "a.txt", people, tmp_path / "no/x.bin"], "no folder"),
    ):
        assert pack(*words) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [n for n, c in CASES.items() if c["kind"] in ("verification", "pixels")] or ["absent"]
)
def test_reference_cases_through_the_command(shared, tmp_path, name, capsys):
    case, root = CASES[name], shared / "reference/formats"
    if name.startswith("cvlface"):
        pytest.importorskip("pyarrow", reason="needs the extra gluonface[formats]")
    words = []
    for key, value in (case.get("options") or {}).items():
        value = root / value if key == "root" else value
        words += [f"--{key}", *(value if isinstance(value, list) else [value])]
    if "BGR" in case.get("colour", ""):
        words += ["--color", "BGR"]
    if "survface" in name:
        words += ["--resize"]
    size = case.get("shape", [0, 0, 112])[2] if "survface" not in name else 112
    source, out = root / case["source"], tmp_path / "x.bin"
    pairs = open_pairs(source, **_options(case, root))
    size = images.decode(pairs.images(0)[0]).shape[0] if "survface" not in name else 112
    assert pack(source, out, "--size", size, *words) == 0
    found = VerificationPack.load(out)
    assert len(found) == case["pairs"]
    assert found.issame.tolist() == pairs.issame.tolist()
    assert found.groups == pairs.groups
    assert (found.folds is None) == (pairs.folds is None)
    if "survface" not in name:
        assert found.bins == [one for i in range(len(pairs)) for one in pairs.images(i)]


def _options(case, root):
    options = dict(case.get("options") or {})
    if "root" in options:
        options["root"] = root / options["root"]
    if "BGR" in case.get("colour", ""):
        options["color"] = "BGR"
    return options


def test_compressed_packs_are_unpacked_and_verified(tmp_path, capsys):
    data = lzma.compress(write_pack(tmp_path / "x.bin").read_bytes())
    (tmp_path / "hadrian.xz").write_bytes(data)
    assert main(["data", "unpack", str(tmp_path / "hadrian.xz"), str(tmp_path / "out")]) == 0
    assert "16 in" in capsys.readouterr().out
    assert main(["data", "verify", str(tmp_path / "hadrian.xz")]) == 0
    (tmp_path / "broken.xz").write_bytes(data[:-20])
    assert main(["data", "verify", str(tmp_path / "broken.xz")]) == 1
    assert "cut short" in capsys.readouterr().out
    assert not is_pack(tmp_path / "none.xz")


# --- eval verification


@pytest.mark.usefixtures("means")
def test_lists_give_the_figures_of_their_pack(tmp_path, capsys):
    people = write_people(tmp_path / "people")
    (tmp_path / "pairs.txt").write_text("2\t2\n" + "\n".join(lfw_line(*one) for one in PAIRS))
    assert verify("--pack", tmp_path / "pairs.txt", "--root", people) == 1
    assert "24 x 24 pixels; an aligned face" in capsys.readouterr().err
    out = tmp_path / "r.json"
    words = ["--root", people, "--resize", "--json", out]
    assert verify("--pack", tmp_path / "pairs.txt", *words) == 0
    one = json.loads(out.read_text())["results"][0]
    assert (one["n_pairs"], one["folds"], one["pack"]) == (8, 2, "pairs")
    assert list(one["inputs"]) == [str(tmp_path / "pairs.txt")]
    write_pack(tmp_path / "plain.bin")
    assert verify("--pack", tmp_path / "plain.bin", "--folds", 2, "--json", out) == 0
    other = json.loads(out.read_text())["results"][0]
    for name in ("accuracy", "auc", "eer", "thresholds", "tar", "val"):
        assert one[name] == other[name]


@pytest.mark.usefixtures("means")
def test_groups_of_a_list_a_column_and_a_file(tmp_path, capsys):
    rfw = write_rfw(tmp_path / "rfw")
    out, report = tmp_path / "r.json", tmp_path / "report"
    words = ["--folds", 2, "--resize", "--json", out]
    assert verify("--pack", rfw, "--groups", *words, "--report", report) == 0
    printed = capsys.readouterr().out
    assert "groups at one threshold" in printed
    assert "each with folds of its own" in printed
    groups = json.loads(out.read_text())["results"][0]["groups"]
    assert [row["group"] for row in groups["tables"][0]["rates"]] == ["African", "Asian"]
    assert groups["own_folds"]
    page = (report / "index.html").read_text()
    assert "Flip none: groups at one threshold" in page
    assert "African" in page
    for race in ("African", "Asian"):
        assert pack(rfw / f"txts/{race}/{race}_pairs.txt", rfw / "data" / race,
                    tmp_path / f"{race}_test.bin", *SMALL) == 0  # fmt: skip
    packs = [tmp_path / "African_test.bin", tmp_path / "Asian_test.bin"]
    assert verify("--pairs", *packs, "--groups", *words) == 0
    assert json.loads(out.read_text())["results"][0]["groups"] == groups
    rows = [f"{who},{sex}" for who, sex in (("Ann_Abel", "f"), ("Bo.Bird", "m"), ("Cy_Cole", "f"))]
    (tmp_path / "people.csv").write_text("identity,group\n" + "\n".join(rows))
    assert verify("--pack", rfw, "--groups", tmp_path / "people.csv", *words) == 0
    found = json.loads(out.read_text())["results"][0]["groups"]
    assert [row["group"] for row in found["tables"][0]["rates"]] == ["f", "m", "f | m"]
    assert not found["own_folds"]
    assert verify("--pack", packs[0], "--groups", *words) == 2
    assert "has no groups" in capsys.readouterr().err
    assert verify("--pack", packs[0], "--fmrs", 0.1) == 2
    assert "--groups, which is missing" in capsys.readouterr().err


@pytest.mark.usefixtures("means")
def test_groups_of_stored_outputs(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", e=rng.normal(size=(16, 4)), issame=SAME)
    (tmp_path / "g.csv").write_text("group\n" + "a b\nc\n" * 4)
    words = ["eval", "verification", "--embeddings", str(tmp_path / "x.npz"), "--folds", "2"]
    assert main([*words, "--groups", str(tmp_path / "g.csv")]) == 0
    assert "a b" in capsys.readouterr().out
    for more, message in ((["--groups"], "name a .csv"), (["--groups", "race"], "a line a pair")):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("means")
def test_folds_of_sorted_pairs_are_said(tmp_path, caplog):
    order = np.argsort(~np.array(SAME), kind="stable")
    bins = [one for place in order for one in WANTED[place]]
    VerificationPack(bins, np.array(SAME)[order].tolist()).save(tmp_path / "x.bin")
    found = verification.evaluate_pack(Means(), open_pairs(tmp_path / "x.bin"), "none", folds=2)
    assert found["none"].fold.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert any("sorted by kind" in note for note in found["none"].notes)


# --- eval identification and eval ijb


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["kind"] == "identification"])
def test_sets_for_identification(shared, tmp_path, name, monkeypatch):
    pytest.importorskip("pyarrow", reason="needs the extra gluonface[formats]")
    out = tmp_path / "r.json"
    words = ["--model", "mobilefacenet:untrained", "--no-cache", "--resize", "--json", str(out)]
    source = shared / "reference/formats" / CASES[name]["source"]
    assert main(["eval", "identification", "--set", str(source), *words]) == 0
    counts = json.loads(out.read_text())["results"][0]["counts"]
    case = CASES[name]
    assert counts["probes"] == counts["mated"] == len(case["probes"])
    assert counts["gallery"] == len(case["gallery"]) + len(case["distractors"])
    assert counts["distractors"] == len(case["distractors"])
    assert counts["identities"] == len({who for who, _ in case["gallery"]})


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["kind"] == "templates"])
def test_sets_of_templates(shared, tmp_path, name):
    pytest.importorskip("pyarrow", reason="needs the extra gluonface[formats]")
    out = tmp_path / "r.json"
    words = ["--model", "mobilefacenet:untrained", "--no-cache", "--json", str(out)]
    source = shared / "reference/formats" / CASES[name]["source"]
    assert main(["eval", "ijb", "--meta", str(source), *words]) == 0
    found = json.loads(out.read_text())["results"][0]
    assert found["counts"]["templates"] == len(set(CASES[name]["templates"]))
    assert found["counts"]["pairs"] == len(CASES[name]["label"])
    assert main(["eval", "ijb", "--meta", str(source), "--task", "1:N", *words]) == 2


def test_wrong_use_of_a_set(tmp_path, capsys):
    for words, message in (
        (["--gallery", "x"], "leave out --gallery"),
        ([], "--model is missing"),
    ):
        assert main(["eval", "identification", "--set", str(tmp_path), *words]) == 2
        assert message in capsys.readouterr().err
