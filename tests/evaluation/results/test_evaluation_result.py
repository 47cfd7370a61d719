import json

import numpy as np

from gluonface.evaluation.protocols import verification
from gluonface.evaluation.results.evaluation_result import document
from gluonface.evaluation.results.verification_result import table


def test_a_result_is_json_and_text(noisy_pairs):
    e, f, issame = noisy_pairs(600, seed=0)
    results = list(verification.evaluate_variants(e, f, issame).values())
    whole = json.loads(json.dumps(document(results, {"name": "x"}), allow_nan=False))
    row = whole["results"][1]
    assert row["flip"] == "sum"
    assert row["tar"]["0.01"] == results[1].tar[0.01]
    assert not {"score", "distance", "issame"} & set(row)
    assert whole["versions"]["numpy"] == np.__version__
    assert "strict" in whole["convention"]["tar"]
    lines = table(results).splitlines()
    assert len(lines) == 4
    assert f"{results[1].accuracy:.4f} ± {results[1].accuracy_std:.4f}" in lines[2]
    assert "TAR@0.1  TAR@0.01" in lines[0]
