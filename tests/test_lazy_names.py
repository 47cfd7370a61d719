import subprocess
import sys

import pytest

import gluonface
from gluonface import data, evaluation, head, parallel, training


@pytest.mark.parametrize("package", [gluonface, data, evaluation, head, parallel, training])
def test_every_public_name_is_found(package):
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'x'"):
        _ = package.x


def test_a_name_that_is_a_module_of_a_package():
    assert evaluation.verification.__name__ == "gluonface.evaluation.protocols.verification"


def test_nothing_is_imported_before_a_name_is_used():
    code = (
        "import sys, gluonface.data, gluonface.training, gluonface.evaluation, gluonface.head;"
        "print(sorted({'mxnet', 'matplotlib', 'cv2'} & set(sys.modules)),"
        "'gluonface.data.loader' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] False"
