"""The conversions of operators that move, cut, join and resize against MXNet's outputs."""

from operator_cases import check_equals_mxnet, numbered, rules

from gluonface._compat import mx

S = mx.sym
V = S.var


# operator -> functions of x (N,3,8,12), values -1..1.5, that use it. Parameters by name below.
CASES = {
    "Flatten": [lambda x: S.Flatten(x)],
    "Reshape": [
        lambda x, shape=shape: S.Reshape(x, shape=shape)
        for shape in ((0, -1), (0, 3, 2, 4, -1), (-3, 0, 0), (0, -4, 1, 3, -2), (-1, 8, 12))
    ],
    "transpose": [lambda x: S.transpose(x, axes=(0, 2, 3, 1))],
    "SwapAxis": [lambda x: S.SwapAxis(x, dim1=1, dim2=3)],
    "expand_dims": [lambda x: S.expand_dims(x, axis=2)],
    "squeeze": [
        lambda x: S.squeeze(S.mean(x, axis=2, keepdims=True), axis=2),
    ],
    "Concat": [lambda x: S.Concat(x, x * 2, dim=3)],
    "stack": [lambda x: S.stack(x, x * 2, axis=1)],
    "SliceChannel": [
        lambda x: S.add_n(*[part * (i + 1) for i, part in enumerate(S.split(x, 3, axis=1))]),
        lambda x: S.elemwise_sub(
            *S.split(S.slice_axis(x, axis=2, begin=3, end=5), 2, axis=2, squeeze_axis=True)
        ),
    ],
    "slice": [
        lambda x: S.slice(x, begin=(None, 1, 6), end=(None, 3, 1), step=(None, 1, -2)),
    ],
    "slice_axis": [
        lambda x: S.slice_axis(x, axis=3, begin=2, end=None),
        lambda x: S.slice_axis(x, axis=2, begin=-5, end=-1),
    ],
    "_contrib_arange_like": [
        lambda x: S.broadcast_add(x, S.contrib.arange_like(x, axis=3)),
        lambda x: S.broadcast_add(x, S.contrib.arange_like(x, axis=-1, start=2, step=0.5)),
    ],
    "reshape_like": [lambda x: S.reshape_like(S.reshape(x, shape=(0, -1)), x) + 1],
    "slice_like": [lambda x: S.slice_like(x, S.slice_axis(x, axis=3, begin=0, end=5), axes=(3,))],
    "UpSampling": [lambda x: S.UpSampling(x, scale=2, sample_type="nearest")],
    "_contrib_BilinearResize2D": [
        lambda x: S.contrib.BilinearResize2D(x, height=20, width=17),
        lambda x: S.contrib.BilinearResize2D(x, height=16, width=24, align_corners=False),
    ],
    "Pad": [
        lambda x: S.Pad(x, mode="constant", constant_value=2, pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
        lambda x: S.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
        lambda x: S.Pad(x, mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 3, 0)),
    ],
    "tile": [lambda x: S.tile(x, reps=(2, 1, 3))],
    "broadcast_like": [lambda x: S.broadcast_like(S.mean(x, axis=2, keepdims=True), x)],
    "broadcast_axis": [
        lambda x: S.broadcast_axis(S.mean(x, axis=(1, 2), keepdims=True), axis=(1, 2), size=(3, 2))
    ],
    "broadcast_to": [
        lambda x: S.broadcast_to(S.mean(x, axis=2, keepdims=True), shape=(0, 0, 4, 0))
    ],
}


@numbered(CASES)
def test_equals_mxnet(op, number):
    check_equals_mxnet(CASES, op, number)


def test_every_rule_has_a_case():
    # Other spellings of operators above that MXNet no longer writes itself.
    aliases = {"flatten", "reshape", "concat", "split", "pad", "broadcast_axes"}
    assert rules("shape_operators") - aliases == set(CASES)
