import json
import subprocess
import sys

import numpy as np
import pytest

import gluonface.deploy
import gluonface.weights.opened
import gluonface.weights.source
from gluonface._compat import cv2
from gluonface.cli import main
from gluonface.evaluation.files import feature_files


class StandIn:
    """Block means of the pixels in place of a network."""

    card = {"name": "block-means", "preprocessing": "inside", "embedding_size": 48}  # noqa: RUF012
    embedding_size = 48
    seen = 0

    @classmethod
    def load(cls, source, ctx=None, **options):
        return cls()

    def embed_views(self, images, batch_size):
        StandIn.seen += len(images)
        return [
            (x.reshape(len(x), 4, 28, 4, 28, 3).mean(axis=(2, 4)).reshape(len(x), -1) - 128).astype(
                np.float32
            )
            for x in (images, images[:, :, ::-1])
        ]


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    file = tmp_path / "model.params"
    file.write_bytes(b"weights")
    source = gluonface.weights.source.Source(file)
    monkeypatch.setattr(gluonface.deploy, "Embedder", StandIn, raising=False)
    monkeypatch.setattr(gluonface.weights.opened, "find_source", lambda text: source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    StandIn.seen = 0


def picture(path, person, seed):
    """Write a face: four coarse squares by person, noise by seed."""
    coarse = np.random.default_rng(person).integers(60, 200, (4, 4, 3))
    noise = np.random.default_rng(1000 + seed).normal(size=(28, 28, 3)).repeat(4, 0).repeat(4, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.kron(coarse, np.ones((28, 28, 1))) + 25 * noise
    cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture
def people(tmp_path):
    """Make a folder of 6 people with 4 images each."""
    for i in range(24):
        picture(tmp_path / "faces" / f"p{i % 6}" / f"{i}.png", i % 6, i)
    return tmp_path / "faces"


def run(capsys, *args):
    status = main(["eval", *map(str, args)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_own_folders_in_one_command(people, tmp_path, capsys):
    file = tmp_path / "out" / "r.json"
    status, out, _ = run(
        capsys, "folder", "--model", "x", "--images", people, "--json", file, "--bootstrap", 20
    )
    assert status == 0
    assert StandIn.seen == 24
    assert out.startswith("own folders\nimages 24, identities 6, same 36, different 240")
    content = json.loads(file.read_text())
    (result,) = content["results"]
    assert result["model"] == "x"
    assert (result["flip"], result["preprocessing"]) == ("sum", "inside")
    assert len(result["inputs"]["images (pixels)"]) == 64
    for point in result["operating_points"]:
        assert {"convention", "target", "tar", "far", "threshold", "false_accepts", "allowed",
                "same", "different", "low", "high",
                } == {*point} - {"interval_too_narrow"}  # fmt: skip
    assert result["operating_points"][0]["low"] is not None
    assert result["hardest"][0]["name_a"].startswith("p")
    run(capsys, "folder", "--model", "x", "--images", people)
    assert StandIn.seen == 24  # all of them came from the cache
    run(capsys, "folder", "--model", "x", "--images", people, "--no-cache", "--flip", "none")
    assert StandIn.seen == 48


def test_own_folders_with_listed_pairs_and_stored_embeddings(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    lines = [f"{names[i]} {names[j]} {int(names[i][:2] == names[j][:2])}\n"
             for i in range(24) for j in range(i)]  # fmt: skip
    (tmp_path / "pairs.txt").write_text("".join(lines))
    status, out, _ = run(
        capsys, "folder", "--model", "x", "--images", people, "--pairs", tmp_path / "pairs.txt",
        "--json", tmp_path / "new" / "p.json", "--fars", 0.1, "--bootstrap", 20,
    )  # fmt: skip
    assert status == 0
    assert out.split("\n")[1].split()[:3] == ["pairs", "sum", "276"]
    (result,) = json.loads((tmp_path / "new" / "p.json").read_text())["results"]
    assert result["n_same"] == 36
    assert len(result["inputs"]["images (pixels)"]) == len(result["pack_sha256"]) == 64
    assert result["accuracy_low"] <= result["accuracy"] <= result["accuracy_high"]
    assert result["operating_points"][0]["low"] is not None
    images = np.stack([cv2.imread(str(people / name))[:, :, ::-1] for name in names])
    e, f = StandIn().embed_views(images, 24)
    np.savez(tmp_path / "e.npz", e=e, f=f, path=names)
    known = run(capsys, "folder", "--model", "x", "--images", people)[1]
    assert run(capsys, "folder", "--embeddings", tmp_path / "e.npz")[1] == known
    with open(tmp_path / "pairs.txt", "a") as file:
        file.write("p0/0.png p9/1.png 1\n")
    status, _, err = run(
        capsys, "folder", "--model", "x", "--images", people, "--pairs", tmp_path / "pairs.txt"
    )
    assert status == 1
    assert "line 277: there is no image p9/1.png" in err
    (tmp_path / "file").write_text("in the way")
    before = StandIn.seen
    status, _, err = run(
        capsys, "folder", "--model", "x", "--images", people, "--no-cache", "--report",
        tmp_path / "file" / "report",
    )  # fmt: skip
    assert (status, "cannot be written" in err) == (2, True)
    assert StandIn.seen == before  # it is said before the work, not after it


def test_groups(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    lines = [f"{name} {name[:2]} {'even' if int(name[1]) % 2 == 0 else 'odd'}\n" for name in names]
    (tmp_path / "list.txt").write_text("".join(lines))
    common = ("--fars", 0.05, 0.1)
    status, out, err = run(
        capsys, "ifrt", "--model", "x", "--images", people, "--list", tmp_path / "list.txt",
        *common, "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert status == 0
    assert "IFRT ALL" in out
    assert "IFRT even" in out

    assert [p["name"] for p in json.loads((tmp_path / "r.json").read_text())["results"][0]["parts"]] == ["even", "odd"]  # fmt: skip  # noqa: E501
    images = np.stack([cv2.imread(str(people / name))[:, :, ::-1] for name in names])
    e, f = StandIn().embed_views(images, 24)
    identity = [name[:2] for name in names]
    group = ["even" if int(name[1]) % 2 == 0 else "odd" for name in names]
    np.savez(tmp_path / "e.npz", e=e, f=f, identity=identity, group=group)
    mask = ("--mask", tmp_path / "e.npz", tmp_path / "e.npz", "--fars", 1e-6, 0.1)
    status, stored_out, _ = run(capsys, "ifrt", "--embeddings", tmp_path / "e.npz", *mask)
    assert status == 0
    assert "IFRT Mask" in stored_out
    assert "0.25 Mask + 0.75 ALL" in stored_out
    np.savez(tmp_path / "m.npz", e=e, identity=identity)
    status, _, err = run(capsys, "ifrt", "--embeddings", tmp_path / "e.npz", "--children",
                         tmp_path / "m.npz")  # fmt: skip
    assert (status, "give --flip none" in err) == (2, True)
    np.savez(tmp_path / "n.npz", e=e)
    status, _, err = run(capsys, "ifrt", "--embeddings", tmp_path / "n.npz")
    assert (status, "has no array identity and no array group" in err) == (2, True)


def written(file, names, group=False):
    """Write a list of images, their people and groups; return its path."""
    with open(file, "w") as out:
        for name in names:
            side = "even" if int(name[1]) % 2 == 0 else "odd"
            out.write("\t".join([name, name[:2], *([side] if group else [])]) + "\n")
    return file


def outputs(people, names):
    """Return the stand-in's outputs for images and their mirrors."""
    return StandIn().embed_views(
        np.stack([cv2.imread(str(people / name))[:, :, ::-1] for name in names]), 99
    )


def test_masked_and_childrens_sets_from_images_and_from_stored(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    sides = {"masked": names[::2], "plain": names[1::2], "children": names[:12]}
    lists = {name: written(tmp_path / f"{name}.txt", chosen) for name, chosen in sides.items()}
    command = ["ifrt", "--fars", 1e-6, 0.1, "--list", written(tmp_path / "l.txt", names, True)]
    model = ["--model", "x", "--images", people, "--json", tmp_path / "r.json"]
    tests = ["--mask", lists["masked"], lists["plain"], "--children", lists["children"]]
    status, out, _ = run(capsys, *command, *model, *tests, "--bootstrap", 20)
    assert status == 0
    for said in (
        "IFRT Mask\nmasked 12, plain 12, same 24, different 120",
        "IFRT Children\nimages 12, identities 3, same 18, different 48",
        "0.25 Mask + 0.75 ALL",
    ):
        assert said in out
    results = {r["name"]: r for r in json.loads((tmp_path / "r.json").read_text())["results"]}
    for name in ("Mask", "Children"):
        (point, _) = results[name]["operating_points"]
        assert (point["target"], point["convention"]) == (1e-4, "strict")
        assert point["low"] is not None
    worst = results["Mask"]["hardest"][0]
    assert worst["name_a"] in sides["masked"]
    assert worst["name_b"] in sides["plain"]
    assert {str(file) for file in lists.values()} <= set(results["Mask"]["inputs"])
    assert "masked faces (pixels)" in results["Mask"]["inputs"]
    files = {}
    for name, chosen in (*sides.items(), ("all", names)):
        e, f = outputs(people, chosen)
        files[name] = tmp_path / f"{name}.npz"
        np.savez(files[name], e=e, f=f, identity=[n[:2] for n in chosen], path=chosen)
    stored_tests = ["--mask", files["masked"], files["plain"], "--children", files["children"]]
    status, again, _ = run(
        capsys, *command, "--embeddings", files["all"], *stored_tests, "--bootstrap", 20
    )
    assert (status, again) == (0, out)


def test_nist_rates_from_images_stored_outputs_and_scores(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    file = written(tmp_path / "l.txt", names, True)
    model = ["--model", "x", "--images", people]
    common = ["nist", "--fmrs", 0.1, "--reference-group", "odd", "--json", tmp_path / "r.json"]
    status, out, _ = run(capsys, *common, *model, "--list", file)
    assert status == 0
    assert "threshold of group odd" in out
    (result,) = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [e["group"] for e in result["error_rates"]] == [None, "even", "odd"]
    assert len(result["inputs"]["images (pixels)"]) == 64
    assert result["preprocessing"] == "inside"
    assert {p["convention"] for p in result["operating_points"]} == {"strict", "reference"}
    e, f = outputs(people, names)
    labels = {"identity": [n[:2] for n in names],
              "group": ["even" if int(n[1]) % 2 == 0 else "odd" for n in names]}  # fmt: skip
    np.savez(tmp_path / "e.npz", e=e, f=f, **labels)
    assert run(capsys, *common, "--embeddings", tmp_path / "e.npz")[1] == out
    score, rows = (e + f) / np.linalg.norm(e + f, axis=1, keepdims=True), []
    for i in range(24):
        for j in range(i):
            same, own = int(names[i][:2] == names[j][:2]), labels["group"]
            side = own[i] if own[i] == own[j] else "both"
            rows.append(f"{score[i] @ score[j]} {same} {side}\n")
    (tmp_path / "s.txt").write_text("".join(rows))
    status, from_scores, _ = run(capsys, *common, "--scores", tmp_path / "s.txt")
    assert status == 0
    wanted = [line.split() for line in out.splitlines() if line.startswith("0.1 ")]
    found = [line.split() for line in from_scores.splitlines() if line.startswith("0.1 ")]
    assert found[:3] == wanted[:3]  # all, even, odd; those across groups have no mated ones
    plain = written(tmp_path / "no_group.txt", names)
    status, out, _ = run(capsys, "nist", "--fmrs", 0.1, *model, "--list", plain)
    assert (status, "group" in out) == (0, False)


def test_nist_rates_of_a_search(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    enrolled = [name for name in names if name < "p4"][::4]
    rest = [name for name in names if name not in enrolled]
    lists = [written(tmp_path / f, chosen) for f, chosen in (("g", enrolled), ("p", rest))]
    status, out, _ = run(
        capsys, "nist", "--model", "x", "--images", people, "--gallery", lists[0], "--probes",
        lists[1], "--fpirs", 0.5, "--depth", 2, "--report", tmp_path / "rep", "--bootstrap", 9,
    )  # fmt: skip
    assert status == 0
    assert out.startswith("NIST 1:N\nprobes 20, mated 12, nonmated 8, gallery 4")
    assert "R 2" in out
    page = (tmp_path / "rep" / "index.html").read_text()
    assert "DET: FNIR over FPIR" in page
    assert "TPIR over FPIR" not in page


def test_search(people, tmp_path, capsys):
    names = sorted(str(p.relative_to(people)) for p in people.rglob("*.png"))
    enrolled = [name for name in names if name < "p5"][::4]
    rest = [name for name in names if name not in enrolled]
    for file, chosen in (("g.txt", enrolled), ("p.txt", rest)):
        (tmp_path / file).write_text("".join(f"{n}\t{n[:2]}\n" for n in chosen))
    status, out, _ = run(
        capsys, "identification", "--model", "x", "--images", people, "--gallery",
        tmp_path / "g.txt", "--probes", tmp_path / "p.txt", "--unique-gallery", "--fpirs", 0.5,
    )  # fmt: skip
    assert status == 0
    assert "probes 19, mated 15, nonmated 4, gallery 5, identities 5" in out
    assert "TPIR" in out
    with open(tmp_path / "g.txt", "a") as file:
        file.write(f"\n{rest[0]}\t{rest[0][:2]}\n")
    status, _, err = run(
        capsys, "identification", "--model", "x", "--images", people, "--gallery",
        tmp_path / "g.txt", "--probes", tmp_path / "p.txt", "--unique-gallery",
    )  # fmt: skip
    assert (status, "g.txt, line 7: p0 is in the gallery already, with line 1" in err) == (1, True)
    sides = {}
    for side, chosen in (("g", enrolled), ("p", rest)):
        images = np.stack([cv2.imread(str(people / name))[:, :, ::-1] for name in chosen])
        e, f = StandIn().embed_views(images, 24)
        sides[side] = tmp_path / f"{side}.npz"
        np.savez(sides[side], e=e, f=f, identity=[name[:2] for name in chosen])
    status, again, _ = run(
        capsys, "identification", "--gallery-embeddings", sides["g"], "--probe-embeddings",
        sides["p"], "--fpirs", 0.5,
    )  # fmt: skip
    assert again == out


@pytest.fixture
def janus(tmp_path):
    """Make a tiny IJB: 8 subjects with a gallery and two probe templates each."""
    rng = np.random.default_rng(0)
    meta, rows, points = tmp_path / "meta", [], []
    meta.mkdir()
    target = "38.3 51.7 73.5 51.5 56.0 71.7 41.5 92.4 70.7 92.2"
    for i in range(72):
        template = i % 24
        picture(tmp_path / "crops" / f"{i}.jpg", template % 8, i)
        rows.append(f"{i}.jpg {100 + template} {i // 24}\n")
        points.append(f"{i}.jpg {target} {rng.uniform(0.3, 1):.3f}\n")
    (meta / "ijbc_face_tid_mid.txt").write_text("".join(rows))
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(points))
    pairs = [f"{100 + g} {100 + p} {int(g == p % 8)}\n" for g in range(8) for p in range(8, 24)]
    (meta / "ijbc_template_pair_label.txt").write_text("".join(pairs))
    header = "TEMPLATE_ID,SUBJECT_ID,FILE\n"
    for name, chosen in (("gallery_G1", range(4)), ("gallery_G2", range(4, 8))):
        text = header + "".join(f"{100 + t},{t},x\n" for t in chosen)
        (meta / f"ijbc_1N_{name}.csv").write_text(text)
    text = header + "".join(f"{100 + t},{t % 8},x\n" for t in range(8, 24))
    (meta / "ijbc_1N_probe_mixed.csv").write_text(text)
    return meta, tmp_path / "crops"


def test_janus_from_images_and_from_stored_outputs(janus, tmp_path, capsys):
    meta, crops = janus
    status, out, _ = run(
        capsys, "ijb", "--meta", meta, "--model", "x", "--images", crops, "--joint",
        "--json", tmp_path / "r.json", "--fars", 0.01, 0.1,
    )  # fmt: skip
    assert status == 0
    assert "templates 24, pairs 128, same 16, different 112" in out
    assert "IJB 1:N gallery G2" in out
    result = json.loads((tmp_path / "r.json").read_text())["results"]
    assert [r["protocol"][:7] for r in result] == ["IJB 1:1", "IJB 1:N", "IJB 1:N"]
    assert set(result[0]["inputs"]) == {
        "ijbc_face_tid_mid.txt", "ijbc_name_5pts_score.txt", "ijbc_template_pair_label.txt",
        "images (aligned pixels)", "ijbc_1N_gallery_G1.csv", "ijbc_1N_gallery_G2.csv",
        "ijbc_1N_probe_mixed.csv",
    }  # fmt: skip
    (folder,) = (tmp_path / "cache/gluonface/embeddings").iterdir()
    part = np.load(folder / "part-00000.npz")
    np.savez(tmp_path / "e.npz", e=part["e"], f=part["f"])
    again = run(
        capsys, "ijb", "--meta", meta, "--embeddings", tmp_path / "e.npz", "--joint",
        "--fars", 0.01, 0.1,
    )[1]  # fmt: skip
    assert again == out
    np.save(tmp_path / "short.npy", part["e"][:70])
    status, _, err = run(capsys, "ijb", "--meta", meta, "--embeddings", tmp_path / "short.npy")
    assert (status, "holds 70 features" in err) == (2, True)
    (meta / "ijbc_template_pair_label.txt").write_text("100 108 1\n100 999 0\n")
    status, _, err = run(capsys, "ijb", "--meta", meta, "--embeddings", tmp_path / "e.npz")
    assert (status, "line 2: template 999 has no image" in err) == (1, True)


def test_megaface_from_images_bins_and_packed(tmp_path, capsys):
    probes = [f"P{i % 3}/P{i % 3}_{i}.png" for i in range(9)]
    distractors = [f"000/a@N01/{i}_0.jpg" for i in range(20)]
    for i, name in enumerate(probes):
        picture(tmp_path / "scrub" / name, i % 3, i)
    for i, name in enumerate(distractors):
        picture(tmp_path / "mega" / name, 50 + i, i)
    lists = {
        "probes.json": {"path": probes, "id": [name[:2] for name in probes]},
        "d20.json": {"path": distractors},
        "d10.json": {"path": distractors[:10]},
    }
    for name, content in lists.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "noise.txt").write_text(f"# list\n3\t{distractors[4]}\n")
    common = (
        "--probe-list", tmp_path / "probes.json", "--distractor-list", tmp_path / "d10.json",
        tmp_path / "d20.json", "--distractor-noise", tmp_path / "noise.txt", "--ranks", 1, 5,
        "--fars", 0.01, 0.1,
    )  # fmt: skip
    status, out, _ = run(
        capsys, "megaface", *common, "--model", "x", "--images", tmp_path / "scrub",
        "--distractor-images", tmp_path / "mega",
    )  # fmt: skip
    assert status == 0
    assert "MegaFace (R) d10.json" in out
    assert "distractors 19, same 18, different 171" in out
    for folder, names in (("scrub", probes), ("mega", distractors)):
        rows = np.stack([cv2.imread(str(tmp_path / folder / name))[:, :, ::-1] for name in names])
        e, f = StandIn().embed_views(rows, 99)
        for name, row in zip(names, e + f):
            feature_files.write_bin(tmp_path / folder / f"{name}_x.bin", row)
        np.savez(tmp_path / f"{folder}.npz", e=e, f=f, path=names)
    for sources in (
        (tmp_path / "scrub", tmp_path / "mega", "--suffix", "_x.bin"),
        (tmp_path / "scrub.npz", tmp_path / "mega.npz"),
    ):
        status, again, _ = run(
            capsys, "megaface", *common, "--probe-features", sources[0],
            "--distractor-features", *sources[1:],
        )  # fmt: skip
        assert status == 0
        form = "as stored" if sources[0].is_dir() else "sum"
        assert again.replace(f", flip {form}", "") == out.replace(", flip sum", "")
    (tmp_path / "mega" / f"{distractors[7]}_x.bin").write_bytes(b"\0" * 32)
    status, _, err = run(
        capsys, "megaface", *common, "--probe-features", tmp_path / "scrub",
        "--distractor-features", tmp_path / "mega", "--suffix", "_x.bin",
    )  # fmt: skip
    assert (status, "7_0.jpg_x.bin: the header says" in err) == (1, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["folder"], "give either --model and --images, or --embeddings"),
        (["folder", "--model", "x"], "--images is missing"),
        (["folder", "--embeddings", "none.npz"], "there is no file none.npz"),
        (["folder", "--model", "x", "--images", "nowhere"], "nowhere is not there"),
        (["ijb", "--meta", "nowhere", "--embeddings", "e.npz"], "there is no folder nowhere"),
        (["identification", "--gallery-embeddings", "g.npz"], "--probe-embeddings is missing"),
        (["identification", "--model", "x", "--images", "y"], "--gallery and --probes are needed"),
        (["ifrt", "--model", "x", "--images", "y"], "--list is missing"),
        (["nist"], "give one of: --scores; --list or --embeddings (1:1)"),
        (["nist", "--scores", "s", "--embeddings", "e"], "give one of"),
        (["nist", "--scores", "s", "--model", "x"], "leave out --model and --images"),
        (["nist", "--list", "l"], "give either --model and --images, or --embeddings"),
        (["identification", "--fars", "1"], "unrecognized arguments"),
        (
            ["megaface", "--probe-list", "p", "--distractor-list", "d", "--probe-features", "f"],
            "distractors are missing",
        ),
    ],
)
def test_wrong_use_is_said(args, said, capsys):
    status, _, err = run(capsys, *args)
    assert status == 2
    assert said in err


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from gluonface.cli import main\n"
        "for name in ('ijb', 'megaface', 'ifrt', 'identification', 'folder', 'nist'):\n"
        "    assert main(['eval', name, '--help']) == 0\n"
        "assert not {'numpy', 'mxnet', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
