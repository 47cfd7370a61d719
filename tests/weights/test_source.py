import json
import shutil

import numpy as np
import pytest
from deploy_nets import make_small, pixels, randomize

from gluonface import get_model
from gluonface._compat import mx
from gluonface.deploy import Embedder, export_model
from gluonface.errors import DataError, InputError
from gluonface.weights.mxnet_params import params_bytes, read_params
from gluonface.weights.source import find_source


@pytest.fixture
def prefix(small_prefix, tmp_path):
    """A copy that a test may break."""
    for file in small_prefix.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "small"


def params_file(prefix):
    return prefix.with_name("small-0000.params")


def rewrite(prefix, **changes):
    """Write the params with some tensors replaced (or None: left out)."""
    arrays = read_params(params_file(prefix))
    for name, value in changes.items():
        key = next(k for k in arrays if k.partition(":")[2] == name)
        arrays[key] = value
    kept = {k: v for k, v in arrays.items() if v is not None}
    params_file(prefix).write_bytes(params_bytes(kept))


def test_every_way_to_name_a_prefix(prefix, images):
    expected = Embedder.load(prefix).embed(images)
    for name in ("small", "small-symbol.json", "small-0000.params"):
        for kind in (str, lambda p: p):
            actual = Embedder.load(kind(prefix.with_name(name))).embed(images)
            np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(Embedder.load(prefix.parent).embed(images), expected)


def test_epochs(prefix):
    params_file(prefix).rename(prefix.with_name("small-0003.params"))
    shutil.copy(prefix.with_name("small-0003.params"), prefix.with_name("small-0012.params"))
    assert find_source(prefix).params.name == "small-0012.params"  # the last one
    assert find_source(f"{prefix},3").params.name == "small-0003.params"  # as InsightFace names it
    named = find_source(prefix.with_name("small-0003.params"))
    assert named.params.name == "small-0003.params"
    assert Embedder.load(named.params).embedding_size == 16


def test_run_folder_with_an_export(prefix, tmp_path, images):
    run = tmp_path / "run"
    (run / "export").mkdir(parents=True)
    (run / "config.yaml").write_text("model: {name: mobilefacenet}\n")
    for end in ("-symbol.json", "-0000.params", ".json"):
        shutil.copy(f"{prefix}{end}", run / "export" / f"model{end}")
    np.testing.assert_array_equal(
        Embedder.load(run).embed(images), Embedder.load(prefix).embed(images)
    )


def test_run_folder_without_an_export(tmp_path, images):
    net = randomize(get_model("mobilefacenet", embedding_size=24))
    (tmp_path / "config.yaml").write_text("model:\n  name: mobilefacenet\n  embedding_size: 24\n")
    with pytest.raises(InputError, match=r"holds no model yet; looked for .*best/backbone\.params"):
        Embedder.load(tmp_path)
    for which in ("last", "best"):  # best, once there is one
        folder = tmp_path / "checkpoints" / which
        folder.mkdir(parents=True)
        net.head.bn2.beta.set_data(net.head.bn2.beta.data() + 1)
        net.save_parameters(str(folder / "backbone.params"))
        model = Embedder.load(tmp_path)
        expected = net(pixels(images)).asnumpy()
        e, _ = model.embed_views(images)
        np.testing.assert_allclose(e, expected, rtol=0, atol=5e-5)
        assert model.card["name"] == "mobilefacenet"


def test_name_and_params(tmp_path, images):
    net = randomize(get_model("mobilefacenet", embedding_size=24))
    file = tmp_path / "w.params"
    net.save_parameters(str(file))
    expected = net(pixels(images)).asnumpy()
    export_model(net, tmp_path / "x")
    for source in (f"mobilefacenet:{file}", f"MobileFaceNet:{tmp_path / 'x-0000.params'}"):
        model = Embedder.load(source)  # the embedding size is the file's
        np.testing.assert_allclose(model.embed_views(images)[0], expected, rtol=0, atol=5e-5)
    with pytest.raises(InputError, match=r"unknown model 'mobilfacenet'.*'mobilefacenet'"):
        Embedder.load(f"mobilfacenet:{file}")
    with pytest.raises(InputError, match=r"no file .*none\.params \(in the model"):
        Embedder.load(f"mobilefacenet:{tmp_path / 'none.params'}")
    pointer = tmp_path / "p.params"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match=r"p\.params is a pointer of Git LFS"):
        Embedder.load(f"mobilefacenet:{pointer}")
    with pytest.raises(InputError, match="no model is named"):
        find_source("")
    with pytest.raises(InputError, match="holds weights alone; say which model"):
        Embedder.load(file)

    arrays = read_params(file)
    for change in (
        {"final.bn.beta": None},
        {"final.bn.beta": np.zeros(5, np.float32)},
        {"final.bn.surplus": np.zeros(24, np.float32)},
    ):
        kept = {k: v for k, v in {**arrays, **change}.items() if v is not None}
        file.write_bytes(params_bytes(kept))
        with pytest.raises(DataError, match=next(iter(change)).replace(".", r"\.")):
            Embedder.load(f"mobilefacenet:{file}")


def test_nothing_there(tmp_path):
    with pytest.raises(InputError) as error:
        Embedder.load(tmp_path / "x")
    for part in ("x-symbol.json", "x-0000.params", "a run folder", "NAME:FILE.params"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="is no run folder"):
        Embedder.load(tmp_path)
    with pytest.raises(InputError, match=r"no file .*x\.onnx"):
        Embedder.load(tmp_path / "x.onnx")


def test_half_a_prefix(prefix):
    params_file(prefix).unlink()
    with pytest.raises(InputError, match=r"there is no .*small-0000\.params\."):
        Embedder.load(prefix)


def test_two_models_in_a_folder(prefix):
    for end in ("-symbol.json", "-0000.params"):
        shutil.copy(f"{prefix}{end}", f"{prefix}2{end}")
    with pytest.raises(InputError, match=r"several models: small-symbol\.json, small2-symbol"):
        Embedder.load(prefix.parent)


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"PK\x03\x04" + b"x" * 500])
def test_garbage_params_never_reach_mxnet(prefix, content):
    params_file(prefix).write_bytes(content)
    with pytest.raises(
        DataError, match="is not an MXNet parameter file" if content else "is empty"
    ):
        Embedder.load(prefix)


def test_params_cut_short(prefix):
    whole = params_file(prefix).read_bytes()
    params_file(prefix).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is not a whole MXNet parameter file"):
        Embedder.load(prefix)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nodes": []}', '{"nodes": 3, "heads": []}'])
def test_garbage_symbol(prefix, text):
    prefix.with_name("small-symbol.json").write_text(text)
    what = "not an MXNet symbol" if text else "empty"
    with pytest.raises(DataError, match=rf"small-symbol\.json is {what}"):
        Embedder.load(prefix)


def test_tensors_that_do_not_fit_are_named(prefix):
    rewrite(prefix, fc1_weight=None)
    with pytest.raises(DataError, match="lacks 'fc1_weight'"):
        Embedder.load(prefix)


@pytest.mark.parametrize("name", ["fc1_weight", "head_bn2_running_var", "features_2_alpha"])
def test_misshapen_tensors_are_named(prefix, name):
    rewrite(prefix, **{name: np.zeros((5, 7), np.float32)})
    with pytest.raises(DataError, match=rf"'{name}' in .* has the shape \(5, 7\); the symbol"):
        Embedder.load(prefix)


def test_a_card_of_other_weights_is_not_believed(prefix, caplog, images):
    expected = Embedder.load(prefix).embed(images)
    card = json.loads(prefix.with_name("small.json").read_text())
    card["preprocessing"] = {"mean": 1.0, "scale": 3.0}
    prefix.with_name("small.json").write_text(json.dumps(card))
    assert np.abs(Embedder.load(prefix).embed(images) - expected).max() > 0.01  # believed
    card["sha256"]["params"] = "0" * 64
    prefix.with_name("small.json").write_text(json.dumps(card))
    np.testing.assert_array_equal(Embedder.load(prefix).embed(images), expected)
    assert "is of another file; it is not used" in caplog.text


def test_training_symbols_are_cut_at_the_embedding(tmp_path, images):
    """InsightFace's checkpoints of a training run may hold the loss as well."""
    net = make_small()
    export_model(net, tmp_path / "m")
    symbol = mx.sym.load(str(tmp_path / "m-symbol.json"))
    logits = mx.sym.FullyConnected(symbol, num_hidden=10, no_bias=True, name="fc7")
    mx.sym.SoftmaxOutput(logits, name="softmax").save(str(tmp_path / "t-symbol.json"))
    shutil.copy(tmp_path / "m-0000.params", tmp_path / "t-0000.params")
    np.testing.assert_array_equal(
        Embedder.load(tmp_path / "t").embed(images), Embedder.load(tmp_path / "m").embed(images)
    )
