"""Which order of colours a PyTorch file's network takes."""

import json

import numpy as np
import pytest

from gluonface.errors import DataError, InputError
from gluonface.model_zoo import BACKBONES
from gluonface.weights import open_weights
from gluonface.weights.names.color import color_of_torch, reversed_colors

ADAFACE = "body.0.res_layer.2.running_mean"


@pytest.mark.parametrize(
    ("name", "text", "color"),
    [
        ("config.json", json.dumps({"conf": {"color_space": "BGR"}}), "BGR"),
        ("config.json", json.dumps({"color_space": "rgb"}), "RGB"),
        ("x.config.json", json.dumps({"conf": {"color_space": "BGR"}}), "BGR"),
        ("model.yaml", "name: ir50\ncolor_space: 'BGR'  # of the wrapper\n", "BGR"),
        ("model.yaml", "conf:\n  color_space: RGB\n", "RGB"),
    ],
)
def test_the_configuration_beside_the_file(tmp_path, caplog, name, text, color):
    (tmp_path / name).write_text(text)
    for prefix in ("model.net.", "net.", "model."):
        assert color_of_torch(tmp_path / "x.pt", [prefix + ADAFACE]) == color
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "text"), [("config.json", '{"color_space": 3}'), ("model.yaml", "color_space: GRB")]
)
def test_another_order_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"color_space (3|'GRB'); expected RGB or BGR"):
        color_of_torch(tmp_path / "x.pt", ["net." + ADAFACE])


def test_where_nothing_tells(tmp_path, caplog):
    (tmp_path / "config.json").write_text('{"of": "another program"}')
    (tmp_path / "model.yaml").write_text("lr: 0.1\n")
    path = tmp_path / "x.ckpt"
    assert color_of_torch(path, ["model." + ADAFACE]) == "BGR"  # AdaFace's own training
    assert color_of_torch(path, ["layer1.0.bn1.weight"]) == "RGB"  # of a toolkit that takes RGB
    assert not caplog.records
    for prefix in ("", "net.", "model.net."):
        caplog.clear()
        assert color_of_torch(path, [prefix + ADAFACE]) == "RGB"
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "takes RGB or BGR" in caplog.text
        assert "--color BGR" in caplog.text


def test_what_the_caller_says(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"not read for this")
    assert open_weights(path, color="BGR").color == "BGR"
    with pytest.raises(InputError, match="color is 'GBR'; expected RGB or BGR"):
        open_weights(path, color="GBR")


@pytest.mark.parametrize("name", ["mobilefacenet", "adaface_ir_18", "vit_t", "hrnet_w18", "mbf"])
def test_the_layer_that_takes_the_pixels(name):
    cfg, build = BACKBONES.get(name)
    ours = build(cfg, prelu="plain")._collect_params_with_prefix()
    rng = np.random.default_rng(0)
    values = {key: rng.random(p.shape[:2] or 1, "f4") for key, p in ours.items()}
    turned = reversed_colors(ours, values)
    (changed,) = (key for key in values if not np.array_equal(values[key], turned[key]))
    assert ours[changed].shape[1] == 3
    np.testing.assert_array_equal(turned[changed], values[changed][:, ::-1])
