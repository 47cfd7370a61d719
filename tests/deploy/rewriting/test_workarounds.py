import numpy as np

from gluonface._compat import mx
from gluonface.deploy.engines import SymbolEngine
from gluonface.deploy.rewriting.rewrite import rewrite

S = mx.sym


def test_flat_norms_become_wide():
    x = S.BatchNorm(S.mean(S.var("data"), axis=(2, 3)), fix_gamma=False, name="bn")
    for symbol in (x, x * 2, S.Concat(x, x)):  # at the end, with a user, with two
        args = {k: np.ones(3, np.float32) for k in ("bn_gamma", "bn_beta")}
        changed, _ = rewrite(symbol, args)
        shapes = dict(
            zip(
                changed.get_internals().list_outputs(),
                changed.get_internals().infer_shape(data=(2, 3, 112, 112))[1],
            )
        )
        assert shapes["bn_output"] == (2, 3, 1, 1)
        arrays = {f"arg:{k}": v * 3 for k, v in args.items()}
        arrays.update({f"aux:bn_moving_{k}": np.full(3, 0.5, np.float32) for k in ("mean", "var")})
        pixel = np.random.RandomState(0).uniform(0, 1, (2, 3, 112, 112)).astype(np.float32)
        expected = (pixel.mean(axis=(2, 3)) - 0.5) / np.sqrt(0.5 + 1e-3) * 3 + 3
        actual = SymbolEngine(symbol, arrays, mx.cpu()).run(pixel)
        columns = expected * 2 if symbol is not x and actual.shape[1] == 3 else expected
        columns = np.concatenate([expected] * 2, axis=1) if actual.shape[1] == 6 else columns
        np.testing.assert_allclose(actual, columns, rtol=1e-4)
