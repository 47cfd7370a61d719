import json

import pytest

from gluonface.bench import backbone
from gluonface.cli import main
from gluonface.errors import InputError


def test_every_form_beside_the_baseline():
    """What it measures, not how fast: times are not for tests."""
    rows = backbone.measure("mobilefacenet", batch_size=1, forms=["fast", "activation"], repeats=2)
    assert [row["form"] for row in rows] == ["plain", "fast", "activation"]
    for row in rows:
        for task in ("inference", "training"):
            assert row[task] >= row[f"{task}_median"] > 0
            assert row[f"{task}_ratio"] == pytest.approx(row[task] / rows[0][task])
        assert row["inference"] > row["training"]
    assert rows[0]["training_ratio"] == 1


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    rows = [
        {
            "form": form,
            **{f"{task}{kind}": value for task in ("inference", "training") for kind in KINDS},
        }
        for form, value in (("plain", 1.0), ("fast", 7.5))
    ]
    monkeypatch.setattr(backbone, "measure", lambda *args: rows)
    path = tmp_path / "a.json"
    assert (
        main(
            ["bench", "backbone", "--batch-size", "16", "--inference-batches", "--json", str(path)]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "mobilefacenet, batch 16, OMP_NUM_THREADS=2" in out
    assert [line.split()[0] for line in out.splitlines()[-2:]] == ["plain", "fast"]
    assert "7.50" in out
    written = json.loads(path.read_text())
    assert written["forms"] == rows
    assert written["threads"] == 2


KINDS = ("", "_median", "_ratio")


def test_wrong_use(capsys):
    for option, message in (("--batch-size", "batch size"), ("--repeats", "repeats")):
        assert main(["bench", "backbone", option, "0"]) == 2
        assert message in capsys.readouterr().err
    assert main(["bench", "backbone", "--threads", "0"]) == 2
    assert main(["bench", "backbone", "--forms", "slow"]) == 2
    with pytest.raises(InputError, match="mobilefacenet"):
        backbone.measure("mobilefacenett")


def test_inference_of_every_graph():
    rows = backbone.measure_inference("mobilefacenet", [2], repeats=1)
    assert [row["form"] for row in rows][:2] == ["plain", "rewritten"]
    for row in rows:
        assert row["best"] >= row["median"] > 0
        assert row["to_plain"] == pytest.approx(row["best"] / rows[0]["best"])


@pytest.mark.slow
def test_inference_in_every_precision():
    pytest.importorskip("openvino", reason="needs the extra: pip install gluonface[openvino]")
    rows = backbone.measure_inference("mobilefacenet", [2], 1, ("bfloat16", "int8"))
    by_form = {row["form"]: row for row in rows}
    for form in ("openvino bfloat16", "openvino int8", "onnxruntime int8"):
        same = by_form[form.split()[0]]["best"]
        assert by_form[form]["to_float32"] == pytest.approx(by_form[form]["best"] / same)
    assert by_form["openvino"]["to_float32"] is None


def test_the_composed_form_is_without_our_operators(our_operators):
    from gluonface._compat import mx
    from gluonface.bench._backbone_variants import training_net

    images = mx.nd.zeros((2, 3, 112, 112))
    graphs = {}
    for form in ("composed", "fast"):
        net = training_net("mobilefacenet", form)
        net(images).wait_to_read()
        graphs[form] = net._cached_graph[1].tojson()
    assert "_gluonface_prelu" in graphs["fast"]
    assert "_gluonface" not in graphs["composed"]
    assert "BatchNormWithReLU" in graphs["composed"]
