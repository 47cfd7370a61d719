import json
import math

import pytest

from gluonface.errors import DataError, InputError
from gluonface.model_zoo import get_model
from gluonface.weights.card import FORMAT, make_card, read_card


def test_written_and_read(tmp_path):
    net = get_model("mobilefacenet", embedding_size=24, scale=0.01)
    card = make_card(net.cfg, 24, {"licence": "MIT"})
    assert (card["name"], card["embedding_size"], card["scale"]) == ("mobilefacenet", 24, 0.01)
    assert (card["licence"], card["training_data"], card["color"]) == ("MIT", None, "RGB")
    assert card["versions"]["mxnet"] == "1.9.1"
    path = tmp_path / "m.json"
    path.write_text(json.dumps(card))
    assert read_card(path) == card


def test_of_a_network_that_is_not_of_the_zoo():
    card = make_card(None, 16)
    assert (card["name"], card["input_size"], card["preprocessing"]) == (
        *("custom", [112, 112], "inside"),
    )


@pytest.mark.parametrize(
    ("extra", "message"),
    [("MIT", "is a str; expected a dict"), ({"format": 1}, "sets format"), ({"x": {1}}, "as JSON")],
)
def test_wrong_values(extra, message):
    with pytest.raises(InputError, match=message):
        make_card(None, 16, extra)


def test_other_files(tmp_path):
    path = tmp_path / "m.json"
    assert read_card(path) is None
    for content in ("", "{", "[]", "7", "[" * 100_000, '{"format": "something else"}'):
        path.write_text(content)
        assert read_card(path) is None
    path.write_text(json.dumps({"format": FORMAT, "embedding_size": 16}))
    with pytest.raises(DataError, match=r"m\.json has no 'preprocessing'"):
        read_card(path)


# --- cards written by hand

CARD = {
    "format": FORMAT,
    "name": "small",
    "embedding_size": 16,
    "input_size": [112, 112],
    "preprocessing": "inside",
}
LONG = "9" * 5000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("embedding_size", value) for value in (0, -1, True, 16.0, "16", [16], None, 1 << 40)),
        *(("input_size", value) for value in (112, [112], [112, 0], [112, 112, 3], "112", {})),
        *(("input_size", value) for value in ([True, 112], [112.0, 112], [1 << 40, 112], None)),
        *(("color", value) for value in ("rgb", "GBR", "", 3, None, ["RGB"], {})),
        *((key, value) for key in ("mean", "scale") for value in ("127.5", True, None, {})),
        *((key, value) for key in ("mean", "scale") for value in ([1.0], [1, 2], [1, 2, 3, 4])),
        *((key, value) for key in ("mean", "scale") for value in ([1, "2", 3], [[1], 2, 3], [])),
        *((key, value) for key in ("mean", "scale") for value in (math.nan, math.inf, 1e300)),
        *(("scale", value) for value in (0, 0.0, [1, 0, 1])),
        *(("preprocessing", value) for value in ("outside", "", None, True, [], {}, 1, [127.5, 1])),
        *(("preprocessing", value) for value in ({"mean": 1}, {"mean": 1, "scale": 0})),
        *(("preprocessing", {"mean": m, "scale": 1}) for m in ("1", None, [1], [1, 2, True], {})),
        ("preprocessing", {"mean": 1, "scale": 1, "std": 1}),
        *(("sha256", value) for value in ("a", ["a"], {"params": 7}, {"params": "x" * 64}, 3)),
        *(("licence", value) for value in (3, ["MIT"], {}, "", True, "\x1b[31m", "x" * 5000)),
        *(("training_data", value) for value in (3, ["MIT"], True)),
        *(("name", value) for value in (None, 3, "", "a\nb", ["x"])),
        *(("metrics", value) for value in (3, [], "x")),
        ("imported_from", "x"),
    ],
)
def test_values_of_another_form(tmp_path, key, value):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**CARD, key: value}))
    with pytest.raises(
        DataError, match=rf"the model card {path} has {key} .*; expected "
    ) as caught:
        read_card(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CARD).replace("16", LONG),
        json.dumps(CARD)[:-5],
        json.dumps(CARD)[:-1] + ', "embedding_size": 512}',
        json.dumps(CARD).replace('"inside"', "[" * 100_000 + "]" * 100_000),
    ],
    ids=["digits", "cut", "twice", "deep"],
)
def test_damaged_cards(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"the model card {path} is damaged: "):
        read_card(path)


def test_a_card_of_another_format_is_told(tmp_path, caplog):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**CARD, "format": "card"}))
    assert read_card(path) is None
    assert f"{path} is not used: a model card says" in caplog.text
    path.unlink()
    path.mkdir()
    assert read_card(path) is None


def test_what_is_right(tmp_path):
    path = tmp_path / "m.json"
    for more in (
        {"color": "BGR", "mean": [104, 117.0, 123], "scale": [1, 0.5, 1 / 128]},
        {"preprocessing": {"mean": [104, 117, 123], "scale": 1}, "licence": None},
        {"sha256": {"params": "0" * 64}, "sha256 ": 1, "metrics": None, "anything": [1]},
    ):
        path.write_text(json.dumps({**CARD, **more}))
        assert read_card(path) == {**CARD, **more}
