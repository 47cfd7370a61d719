import json

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
    for content in ("", "{", "[]", '{"format": "something else"}'):
        path.write_text(content)
        assert read_card(path) is None
    path.write_text(json.dumps({"format": FORMAT, "embedding_size": 16}))
    with pytest.raises(DataError, match=r"m\.json has no 'preprocessing'"):
        read_card(path)
