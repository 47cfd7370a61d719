"""The protocols with their products on an MXNet context, as on a GPU, against NumPy's products."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest

from gluonface._compat import mx
from gluonface.cli import main
from gluonface.deploy import device_matmul, embedder
from gluonface.errors import InputError
from gluonface.evaluation.files import ijb_lists
from gluonface.evaluation.protocols import folder, identification, ifrt, ijb, megaface, nist
from gluonface.evaluation.scores import all_pairs, listed_pairs, pair_scores, search
from gluonface.evaluation.scores.feature_matrix import multiply

# Sums of four halves and of nothing else: exact in any order of adding, so equal scores, of which
# there are many, are equal on every device, and so must be every figure.
EXACT = 16


def exact_faces(seed, images, people, size=EXACT):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    person[:4] = (0, 0, 1, 1)
    places = np.argsort(rng.random((people, size)), axis=1)[:, :4]
    features = np.zeros((images, size), np.float32)
    for row, own in zip(features, person):
        row[places[own]] = rng.choice([0.5, -0.5], 4, p=[0.8, 0.2])
    return features, person


def rounded_faces(seed, images, people, size=24):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, people, images)
    person[:4] = (0, 0, 1, 1)
    centres = rng.normal(size=(people, size))
    return (centres[person] + rng.normal(size=(images, size))).astype(np.float32), person


class Seen(device_matmul.DeviceProduct):
    """Counts what the context computes."""

    def __init__(self):
        super().__init__(mx.cpu())
        self.shapes = []

    def __call__(self, a, b, out=None):
        self.shapes.append((len(a), len(b)))
        return super().__call__(a, b, out)


def of_ijb(features, person, product):
    count = len(person)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, count, (2, 600))
    pairs = ijb_lists.Pairs(first, second, person[first] == person[second], "list", {})
    ids = np.arange(count)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    one = ijb.verify(ids, units, pairs, fars=(0.01, 0.1), product=product)
    _, gallery = np.unique(person, return_index=True)
    half = len(gallery) // 2
    galleries = {"G1": (gallery[:half], person[gallery[:half]]),
                 "G2": (gallery[half:], person[gallery[half:]])}  # fmt: skip
    probes = np.setdiff1d(ids, gallery), person[np.setdiff1d(ids, gallery)]
    searched = ijb.identify(ids, units, probes, galleries, product=product)
    joint = ijb.identify_jointly(ids, units, probes, galleries, product=product)
    return [one, searched, joint]


def of_megaface(features, person, product):
    probes, distractors = features[:40], features[40:]
    return [megaface.evaluate(probes, person[:40], distractors, fars=(0.01, 0.1), product=product)]


def of_ifrt(features, person, product):
    group = np.array(["x", "y", "z"])[person % 3]
    whole = ifrt.evaluate(features, person, group, fars=(1e-3, 0.01), product=product)
    mask = ifrt.evaluate_mask(
        features[::2], person[::2], features[1::2], person[1::2], fars=(0.01,), product=product
    )
    children = ifrt.evaluate_children(features, person, fars=(0.01,), product=product)
    frte = nist.compare(features, person, group, fmrs=(1e-3,), reference="x", product=product)
    return [whole, mask, children, frte]


def of_identification(features, person, product):
    found = identification.evaluate(
        features[:50], features[50:], person[:50], person[50:] + 2, product=product
    )
    return [found, folder.evaluate(features, person, product=product)]


PROTOCOLS = [of_ijb, of_megaface, of_ifrt, of_identification]


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut into blocks whose edges fall inside the sets, and keep the tails alone."""
    monkeypatch.setattr(all_pairs, "BLOCK", 7)
    monkeypatch.setattr(megaface, "_BLOCK", 9)
    monkeypatch.setattr(megaface, "_TILE", 45)
    monkeypatch.setattr(search, "_TILE", 1)
    monkeypatch.setattr(listed_pairs, "_TILE", 200)
    monkeypatch.setattr(listed_pairs, "_DIRECT", 10**9)
    monkeypatch.setattr(pair_scores, "KEEP_ALL", 0)


@pytest.mark.parametrize("of", PROTOCOLS, ids=lambda of: of.__name__)
@pytest.mark.parametrize("blocks", ["whole", "small"])
def test_equal_scores_give_equal_figures(of, blocks, request):
    """Ties, strictness and block edges: every figure is the same, to the last bit."""
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    features, person = exact_faces(1, 110, 12)
    product = Seen()
    results = zip(of(features, person, multiply), of(features, person, product))
    for known, found in results:
        assert found.to_dict() == known.to_dict()
        assert figures(found), "the case has rates"
    assert product.shapes
    if blocks == "small":
        assert len(product.shapes) > 10
        assert len(set(product.shapes)) > 1  # the last blocks are smaller


@pytest.mark.parametrize("of", PROTOCOLS, ids=lambda of: of.__name__)
def test_rounding_moves_thresholds_and_no_count(of, small_blocks):
    """Of unit vectors of 24 values a float32 score differs by up to 24 roundings: 2e-6.

    No two scores of this case lie so near to each other at a threshold that a count changes.
    """
    features, person = rounded_faces(2, 110, 12)
    for known, found in zip(of(features, person, multiply), of(features, person, Seen())):
        for one, other in zip(figures(known), figures(found)):
            assert [x for x in one if not isinstance(x, float)] == [
                x for x in other if not isinstance(x, float)
            ]
            np.testing.assert_allclose(
                [x for x in one if isinstance(x, float)],
                [x for x in other if isinstance(x, float)],
                rtol=0,
                atol=2e-6,
            )


def figures(result):
    """Return the rates of an result and of its parts as tuples."""
    own = (*result.operating_points, *result.searches, *result.ranks, *result.error_rates)
    return [dataclasses.astuple(one) for one in own] + [
        row for part in result.subsets for row in figures(part)
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_product(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 8)).astype(dtype) for n in (5, 3))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    product = device_matmul.DeviceProduct(mx.cpu())
    out = np.full((5, 3), 9, dtype)
    assert product(a, b, out) is out
    assert out.dtype == product(a, b).dtype == dtype
    np.testing.assert_allclose(out, a @ b.T, rtol=0, atol=5e-7 if dtype == "float32" else 1e-15)
    with pytest.raises(mx.MXNetError):  # it reads what it is given, not a copy of before
        product(a, b[:, :7])


def test_a_device_that_rounds_is_refused(monkeypatch):
    """Ten bits, as tensor cores have them: figures would differ and nobody would know."""

    def coarse(left, right, transpose_b):
        left, right = (x.astype("float16").astype("float32") for x in (left, right))
        return real(left, right, transpose_b=True)

    real = mx.nd.dot
    monkeypatch.setattr(mx.nd, "dot", coarse)
    features, person = rounded_faces(0, 110, 12)
    with pytest.raises(InputError, match=r"scores computed on cpu\(0\) are .* off those of NumPy"):
        of_identification(features, person, device_matmul.DeviceProduct(mx.cpu()))


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features, person = exact_faces(3, 60, 9)
    for name, part in (("a", slice(0, 30)), ("b", slice(30, 60)), ("all", slice(0, 60))):
        np.savez(
            f"{name}.npz",
            e=features[part],
            identity=person[part],
            group=np.array(["x", "y"])[person[part] % 2],
            path=[f"p{p}/{i}.png" for i, p in enumerate(person[part])],
        )
    for name in ("a", "b"):
        held = np.load(f"{name}.npz")
        content = {"path": held["path"].tolist(), "id": [f"p{p}" for p in held["identity"]]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))


MEGAFACE = "megaface --probe-list a.json --probe-features a.npz --distractor-list b.json "


NAMES = {
    "operating_points": {"far", "tar", "false_accepts", "same", "different"},
    "searches": {"fpir", "tpir", "false_positives", "mated", "nonmated"},
}


def check_complete(document):
    """Every rate carries convention, target, realised rate, threshold, k and both counts."""
    assert document["convention"]
    rates = 0
    for result in document["results"]:
        assert result["flip"] in ("none", "sum")
        assert result["inputs"]
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in result["inputs"].values())
        for one in (result, *result["parts"]):
            for kind, names in NAMES.items():
                for rate in one[kind]:
                    wanted = names | {"target", "convention", "threshold", "allowed"}
                    assert {name for name, value in rate.items() if value is not None} >= wanted
                    rates += 1
                conventions = [rate["convention"] for rate in one[kind]]
                assert conventions.count("strict") == conventions.count("reference")
    assert rates


@pytest.mark.parametrize(
    "words",
    [
        "folder --embeddings all.npz",
        "ifrt --embeddings all.npz --fars 0.01 --mask a.npz b.npz --children a.npz",
        "nist --embeddings all.npz --fmrs 0.01",
        "nist --gallery-embeddings a.npz --probe-embeddings b.npz",
        "identification --gallery-embeddings a.npz --probe-embeddings b.npz",
        MEGAFACE + "--distractor-features b.npz --fars 0.01",
    ],
)
def test_a_gpu_context_reaches_the_products(words, stored, monkeypatch, capsys):
    """`--ctx gpu0` with a processor in the GPU's place prints what NumPy gives."""
    command = ["eval", *words.split(), "--json", "out.json"]
    assert main(command) == 0
    known = capsys.readouterr().out
    check_complete(json.loads(pathlib.Path("out.json").read_text()))
    assert main([*command, "--ctx", "gpu0"]) == 2
    said = capsys.readouterr().err
    assert "ctx is gpu(0), but MXNet sees 0 GPUs" in said
    asked, computed = [], Seen()

    def context_of(text):
        asked.append(text)
        return mx.cpu()

    def device_product(ctx):
        assert ctx == mx.cpu()
        return computed

    monkeypatch.setattr(embedder, "context_of", context_of)
    monkeypatch.setattr(device_matmul, "DeviceProduct", device_product)
    assert main([*command, "--ctx", "gpu0"]) == 0
    assert set(asked) == {"gpu0"}
    assert computed.shapes
    assert capsys.readouterr().out == known
