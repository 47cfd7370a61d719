import json
import subprocess
import sys

import numpy as np
import pytest
from deploy_nets import make_small, pixels, randomize

from gluonface import get_model
from gluonface._compat import mx
from gluonface.cli import main
from gluonface.deploy import Embedder, combine_views, export_model
from gluonface.errors import DataError, InputError, MissingExtraError
from gluonface.weights import load_weights
from gluonface.weights.mxnet_params import params_bytes, read_params

# One network, other batch sizes: oneDNN may sum in another order.
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def model(small_prefix):
    return Embedder.load(small_prefix)


def test_views_and_forms(model, images):
    net = make_small()
    e, f = model.embed_views(images)
    np.testing.assert_allclose(e, net(pixels(images)).asnumpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(f, net(pixels(images[:, :, ::-1])).asnumpy(), rtol=0, atol=1e-5)
    assert np.abs(e - f).max() > 0.1
    for flip, width in (("none", 16), ("sum", 16), ("concat", 32)):
        out = model.embed(images, flip=flip)
        assert out.shape == (7, width)
        assert out.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(out, combine_views(e, f, flip), **CLOSE)


def test_mirror_twice_swaps_the_views(model, images):
    e, f = model.embed_views(images)
    f2, e2 = model.embed_views(np.ascontiguousarray(images[:, :, ::-1]))
    np.testing.assert_allclose(e2, e, **CLOSE)
    np.testing.assert_allclose(f2, f, **CLOSE)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 6, 7, 64])
def test_batch_size_changes_nothing(model, images, batch_size):
    expected = model.embed(images)
    np.testing.assert_allclose(model.embed(images, batch_size=batch_size), expected, **CLOSE)


def test_kinds_of_input(model, images):
    expected = model.embed(images)
    one = model.embed(images[3])
    assert one.shape == (1, 16)
    np.testing.assert_allclose(one, expected[3:4], **CLOSE)
    for pieces in (
        list(images),
        (image for image in images),
        [images[:1], images[1:6], images[6]],
        [images[:0], images],
    ):
        np.testing.assert_allclose(model.embed(pieces, batch_size=3), expected, **CLOSE)
    assert model.embed(images[:0]).shape == (0, 16)
    assert model.embed([], flip="concat").shape == (0, 32)


def test_reads_a_stream_no_faster_than_needed(model, images):
    """A generator over a big set must not be drawn into memory."""
    waiting, seen = [0], []

    def stream():
        for image in images:
            waiting[0] += 1
            yield image

    run = model._engine.run
    model._engine.run = lambda x: (seen.append(waiting[0]), run(x))[1]
    try:
        model.embed(stream(), flip="none", batch_size=2)
    finally:
        model._engine.run = run
    assert seen == [2, 4, 6, 7]


def test_few_batch_sizes_reach_the_engine(model, images):
    sizes, run = set(), model._engine.run
    model._engine.run = lambda x: (sizes.add(len(x)), run(x))[1]
    try:
        for count in range(1, 8):
            model.embed(images[:count], batch_size=4)
    finally:
        model._engine.run = run
    assert sizes == {1, 2, 4}


GOOD = np.zeros((2, 112, 112, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GOOD.astype(np.float32), "images are float32; expected uint8 RGB .*scales them itself"),
        (GOOD.transpose(0, 3, 1, 2), r"\(2, 3, 112, 112\).*channels-first: images\.transpose"),
        (GOOD[..., 0], r"\(2, 112, 112\).*grey: np\.repeat"),
        (GOOD[0, :, :, 0], r"\(112, 112\).*grey: np\.repeat"),
        (GOOD[:, :96, :96], "images are 96x96; .*Align them"),
        (np.zeros((2, 112, 112, 4), np.uint8), r"the shape \(2, 112, 112, 4\); expected"),
        (["face.jpg"], "images holds a str; expected"),
        ([GOOD, GOOD[:, :50]], "images are 50x112"),
    ],
)
def test_wrong_images(model, images, message):
    with pytest.raises(InputError, match=message):
        model.embed(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": "both"}, "flip is 'both'; expected one of none, sum, concat"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5"),
    ],
)
def test_wrong_options(model, options, message):
    with pytest.raises(InputError, match=message):
        model.embed(GOOD, **options)


def test_values_that_are_not_finite_are_an_error(small_prefix, tmp_path):
    arrays = {k: v.copy() for k, v in read_params(f"{small_prefix}-0000.params").items()}
    arrays["arg:head_bn2_beta"][3] = np.nan
    (tmp_path / "m-0000.params").write_bytes(params_bytes(arrays))
    (tmp_path / "m-symbol.json").write_bytes(
        small_prefix.with_name("small-symbol.json").read_bytes()
    )
    with pytest.raises(DataError, match="not finite for 2 images, the first at position 0"):
        Embedder.load(tmp_path / "m").embed(GOOD)


def test_says_what_runs(small_prefix, caplog):
    with caplog.at_level("INFO", logger="gluonface"):
        model = Embedder.load(small_prefix, ctx="cpu", engine="mxnet")
    lines = [r.getMessage() for r in caplog.records if "runs with" in r.getMessage()]
    assert len(lines) == 1
    assert "small (16-d) runs with MXNet 1.9.1, fused graph (cpu(0))" in lines[0]
    assert model.engine == "MXNet 1.9.1, fused graph (cpu(0))"
    assert model.embedding_size == model.card["embedding_size"] == 16
    assert model.card["name"] == "small"


@pytest.mark.parametrize("ctx", ["cpu", "cpu(0)", mx.cpu()])
def test_contexts(small_prefix, ctx):
    assert Embedder.load(small_prefix, ctx=ctx, engine="mxnet").engine.endswith("(cpu(0))")


@pytest.mark.parametrize("ctx", ["tpu", "gpu(x)", "", 3])
def test_wrong_contexts(small_prefix, ctx):
    with pytest.raises(InputError, match="expected cpu, gpu or gpu"):
        Embedder.load(small_prefix, ctx=ctx)


@pytest.mark.skipif(mx.context.num_gpus() > 90, reason="this machine has gpu(90)")
def test_absent_gpu(small_prefix):
    with pytest.raises(InputError, match=r"ctx is gpu\(90\), but MXNet sees"):
        Embedder.load(small_prefix, ctx="gpu:90")


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="needs the extra gluonface[onnx]")
    from onnx_nets import network, save

    save(network(), tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gluonface\[onnx\]'"):
        Embedder.load(tmp_path / "m.onnx", engine="onnxruntime")


def test_flat_batch_norm_does_not_crash(tmp_path):
    """The oneDNN crash of a flat BatchNorm after a (N,C,1,1) one of the same size.

    InsightFace's MobileFaceNet with 512 values has both. In a process of its own.
    """
    prefix = tmp_path / "m"
    code = f"""
import numpy as np
from gluonface._compat import mx
from gluonface.deploy import Embedder
from gluonface.weights import load_weights
from gluonface.weights.mxnet_params import params_bytes
S = mx.sym
def norm(x, name):
    return S.BatchNorm(x, fix_gamma=False, name=name)
x = (S.var("data") - 127.5) * 0.0078125
x = norm(S.Convolution(x, num_filter=64, kernel=(112, 112), no_bias=True, name="c"), "bn")
x = norm(S.FullyConnected(x, num_hidden=64, name="pre_fc1"), "fc1")
x.save(r"{prefix}-symbol.json")
args, _, auxs = x.infer_shape(data=(1, 3, 112, 112))
rng = np.random.RandomState(0)
arrays = {{"arg:" + n: rng.rand(*s).astype("f") for n, s in zip(x.list_arguments(), args)}}
arrays.update({{"aux:" + n: rng.rand(*s).astype("f") + 1
               for n, s in zip(x.list_auxiliary_states(), auxs)}})
arrays["arg:c_weight"] -= 0.5
del arrays["arg:data"]
open(r"{prefix}-0000.params", "wb").write(params_bytes(arrays))
images = rng.randint(0, 256, (4, 112, 112, 3)).astype("u1")
e, f = Embedder.load(r"{prefix}").embed_views(images)
a = {{k[4:]: v.astype("d") for k, v in arrays.items()}}
p = (images.transpose(0, 3, 1, 2) - 127.5) / 128
y = np.einsum("nchw,ochw->no", p, a["c_weight"])
def bn(y, n):
    scale = np.sqrt(a[n + "_moving_var"] + 1e-3)
    return (y - a[n + "_moving_mean"]) / scale * a[n + "_gamma"] + a[n + "_beta"]
y = bn(bn(y, "bn") @ a["pre_fc1_weight"].T + a["pre_fc1_bias"], "fc1")
print(np.abs(e - y).max() / np.abs(y).max())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 1e-5  # float32 against float64


def test_original_export_import_and_onnx_agree(shared, tmp_path):
    """InsightFace's real model: its own files, ours made of it, and ONNX."""
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    from gluonface.data import VerificationPack
    from gluonface.deploy import export_source

    original = shared / "data/insightface-mobilefacenet/model"
    images = np.concatenate(
        list(VerificationPack.load(shared / "data/lfw_small.bin").iter_batches(8))
    )[:8]
    expected = Embedder.load(original).embed(images)
    files = export_source(original, tmp_path / "again", onnx=True)
    for source in (tmp_path / "again", files["onnx"]):
        actual = Embedder.load(source).embed(images)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


def test_imported_weights_agree(shared, tmp_path):
    """The same through our own MobileFaceNet."""
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    from gluonface.data import VerificationPack

    original = shared / "data/insightface-mobilefacenet/model"
    images = np.concatenate(
        list(VerificationPack.load(shared / "data/lfw_small.bin").iter_batches(8))
    )[:8]
    expected = Embedder.load(original).embed(images)
    net = get_model("mobilefacenet")
    load_weights(net, original)
    words = ["--from", str(original), "--model", "mobilefacenet"]
    assert main(["import", *words, "--out", str(tmp_path / "imported.params")]) == 0
    files = export_model(net, tmp_path / "ours", onnx=True)
    for source in (
        f"mobilefacenet:{tmp_path / 'imported.params'}",
        f"mobilefacenet:{original}-0000.params",
        tmp_path / "ours",
        files["onnx"],
    ):
        actual = Embedder.load(source).embed(images)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


def test_onnx_equals_mxnet(tmp_path, images):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    files = export_model(randomize(get_model("mobilefacenet")), tmp_path / "m", onnx=True)
    one = Embedder.load(tmp_path / "m", engine="mxnet")
    two = Embedder.load(files["onnx"], ctx="cpu", engine="onnxruntime")
    assert two.card["name"] == "mobilefacenet"
    np.testing.assert_allclose(two.embed(images), one.embed(images), rtol=0, atol=1e-5)


# --- colours, mean and scale of a card written by hand


def by_hand(folder, model, **card):
    """Write an ONNX network and its card; return the path."""
    from onnx_nets import save

    path = save(model, folder / "m.onnx")
    known = {"format": "gluonface-model-card", "embedding_size": 8, "input_size": [112, 112]}
    (folder / "m.json").write_text(json.dumps({**known, "preprocessing": "inside", **card}))
    return path


@pytest.mark.parametrize("color", ["RGB", "BGR", None])
@pytest.mark.parametrize(
    "pixels",
    [
        "inside",
        {"mean": 127.5, "scale": 1 / 127.5},
        {"mean": [104.0, 117, 123], "scale": 0.0078125},
        {"mean": 100, "scale": [0.01, 0.02, 0.005]},
    ],
)
def test_the_card_is_obeyed(tmp_path, images, color, pixels):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    from onnx_nets import network, reference

    model = network()
    card = {"preprocessing": pixels, **({"color": color} if color else {})}
    embedder = Embedder.load(by_hand(tmp_path, model, **card), "cpu", "onnxruntime")
    want = (images[..., ::-1] if color == "BGR" else images).astype("f4")
    if pixels != "inside":
        want = (want - np.float32(pixels["mean"])) * np.float32(pixels["scale"])
    expected = reference(model, np.ascontiguousarray(want.transpose(0, 3, 1, 2)))
    e, f = embedder.embed_views(images)
    np.testing.assert_allclose(e, expected, rtol=1e-4, atol=1e-3)
    again = embedder.embed_views(images[:, :, ::-1])[0]
    np.testing.assert_allclose(f, again, **CLOSE)


def test_colour_of_checkpoints_and_of_backbones(small_prefix, tmp_path, images):
    for file in small_prefix.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "small.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "color": "BGR"}))
    plain, turned = (Embedder.load(p, "cpu", "mxnet") for p in (small_prefix, tmp_path / "small"))
    flipped = np.ascontiguousarray(images[..., ::-1])
    np.testing.assert_allclose(turned.embed(images), plain.embed(flipped), **CLOSE)
    assert np.abs(turned.embed(images) - plain.embed(images)).max() > 0.01
    from gluonface.deploy import export_source

    export_source(tmp_path / "small", tmp_path / "again")
    again = Embedder.load(tmp_path / "again", "cpu", "mxnet")
    assert again.card["color"] == "BGR"
    np.testing.assert_allclose(again.embed(images), turned.embed(images), **CLOSE)


def test_colour_of_named_backbones(tmp_path, images):
    from gluonface.deploy import export_source
    from gluonface.weights.card import make_card

    net = get_model("mobilefacenet", embedding_size=16)
    randomize(net)
    net.save_parameters(str(tmp_path / "m.params"))
    card = make_card(net.cfg, 16, {"color": "BGR"})
    source = f"mobilefacenet:{tmp_path / 'm.params'}"
    plain = Embedder.load(source, "cpu", "mxnet")
    (tmp_path / "m.json").write_text(json.dumps(card))
    turned = Embedder.load(source, "cpu", "mxnet")
    flipped = np.ascontiguousarray(images[..., ::-1])
    np.testing.assert_allclose(turned.embed(images), plain.embed(flipped), **CLOSE)
    files = export_source(source, tmp_path / "out")
    assert json.loads(files["card"].read_text())["color"] == "BGR"
    (tmp_path / "m.json").write_text(json.dumps({**card, "mean": [1.0, 2.0, 3.0]}))
    with pytest.raises(DataError, match=r"mean \[1\.0, 2\.0, 3\.0\]; backbones here have one mean"):
        Embedder.load(source, "cpu", "mxnet")


@pytest.mark.parametrize("change", [{"embedding_size": 9}, {"input_size": [96, 112]}])
def test_a_card_of_another_model(tmp_path, change):
    pytest.importorskip("onnxruntime", reason="needs the extra: pip install gluonface[onnx]")
    from onnx_nets import network

    path = by_hand(tmp_path, network(), **change)
    with pytest.raises(DataError, match=rf"beside {path} has {next(iter(change))} .*another model"):
        Embedder.load(path, "cpu", "onnxruntime")
