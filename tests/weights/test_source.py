import shutil

import numpy as np
import pytest
from deploy_nets import pixels, randomize

from gluonface import get_model
from gluonface.deploy import Embedder, export_model
from gluonface.errors import DataError, InputError
from gluonface.weights.mxnet_params import params_bytes, read_params
from gluonface.weights.source import find_source


def params_file(prefix):
    return prefix.with_name("small-0000.params")


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


def test_places(prefix, tmp_path):
    params, symbol = params_file(prefix), prefix.with_name("small-symbol.json")
    for source in (prefix, str(prefix), params, symbol, prefix.parent):
        found = find_source(source)
        assert (found.params, found.symbol) == (params, symbol)
        assert str(found) == str(source)
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("m-symbol.json", "m-0003.params", "m-0012.params"):
        (folder / name).write_bytes(b"x")
    assert find_source(folder / "m").params.name == "m-0012.params"
    assert find_source(f"{folder / 'm'},3").params.name == "m-0003.params"
    assert find_source(f"{folder / 'm'}, 12").symbol.name == "m-symbol.json"
    with pytest.raises(InputError, match=r"no file .*m-0004\.params"):
        find_source(f"{folder / 'm'},4")
    (folder / "n-symbol.json").write_bytes(b"x")
    with pytest.raises(InputError, match=r"several models: m-symbol\.json, n-symbol\.json"):
        find_source(folder)
    with pytest.raises(InputError, match=r"no model at .*or another file: \.onnx, \.pth"):
        find_source(tmp_path / "none")
    with pytest.raises(InputError, match=r"no file .*none\.params"):
        find_source(tmp_path / "none.params")


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"model: {name: [", "is no configuration of a run"),
        (b"model: {name: \xff}", "is no configuration of a run"),
        (b"model: {name: x, embedding_size: " + b"9" * 5000 + b"}", "is no configuration of a run"),
        (b"[" * 20_000, "is no configuration of a run"),
        (b"a: 2020-99-99\nmodel: x", "is no configuration of a run"),
        (b"model: 7", "does not say model.name"),
        (b"model: {name: [x]}", "does not say model.name"),
        (b"model: {name: '../x'}", "does not say model.name"),
        (b"7", "does not say model.name"),
        (b"model: {name: mobilefacenet, embedding_size: x}", "embedding_size 'x'; expected"),
        (b"model: {name: mobilefacenet, embedding_size: true}", "embedding_size True; expected"),
        (b"model: {name: mobilefacenet, embedding_size: 0}", "embedding_size 0; expected"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b" ", "is empty"),
    ],
)
def test_configurations_that_are_none(tmp_path, text, message):
    (tmp_path / "config.yaml").write_bytes(text)
    with pytest.raises(
        DataError, match=rf"{tmp_path}/config\.yaml .*{message}|{message}"
    ) as caught:
        find_source(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_name_that_is_not_known_names_the_run(tmp_path):
    (tmp_path / "config.yaml").write_text("model: nonesuch")
    (tmp_path / "checkpoints/last").mkdir(parents=True)
    (tmp_path / "checkpoints/last/backbone.params").write_bytes(params_bytes({}))
    with pytest.raises(InputError, match=rf"{tmp_path}: unknown model 'nonesuch'"):
        Embedder.load(tmp_path)
