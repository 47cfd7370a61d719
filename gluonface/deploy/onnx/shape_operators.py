"""The operators of `operators` that move, cut, join and resize. Importing this enters them."""

from __future__ import annotations

import numpy as np

from .operators import converts, unsupported

__all__ = []


@converts("Flatten", "flatten")
def _flatten(b, node, x):
    return b.emit(node, "Flatten", x, axis=1)


@converts("Reshape", "reshape", "reshape_like")
def _reshape(b, node, x):
    # MXNet's codes (0, -1, -2, -3, -4) are worked out already; only the batch is unknown.
    return b.emit(node, "Reshape", [x[0], b.const(np.int64(b.free_shape((node, 0))))])


@converts("transpose")
def _transpose(b, node, x):
    rank = b.rank(node.inputs[0])
    perm = node.integers("axes") or tuple(reversed(range(rank)))
    return b.emit(node, "Transpose", x, perm=[axis % rank for axis in perm])


@converts("SwapAxis")
def _swap_axis(b, node, x):
    perm = list(range(b.rank(node.inputs[0])))
    one, two = int(node.value("dim1", 0)), int(node.value("dim2", 0))
    perm[one], perm[two] = perm[two], perm[one]
    return b.emit(node, "Transpose", x, perm=perm)


@converts("expand_dims")
def _expand_dims(b, node, x):
    axis = int(node.attrs["axis"])
    return b.emit(node, "Unsqueeze", [x[0], b.const(np.int64([axis]))])


@converts("squeeze")
def _squeeze(b, node, x):
    axes = node.integers("axis")
    if not axes:
        before = b.shape(node.inputs[0])
        axes = tuple(i for i, n in enumerate(before) if n == 1)
    return b.emit(node, "Squeeze", [x[0], b.const(np.int64(axes))])


@converts("Concat", "concat")
def _concat(b, node, x):
    return b.emit(node, "Concat", x, axis=int(node.attrs.get("dim", 1)))


@converts("stack")
def _stack(b, node, x):
    axis = int(node.attrs.get("axis", 0))
    at = b.const(np.int64([axis]))
    return b.emit(node, "Concat", [b.emit(node, "Unsqueeze", [n, at]) for n in x], axis=axis)


@converts("SliceChannel", "split")
def _split(b, node, x):
    axis, count = int(node.value("axis", 1)), int(node.attrs["num_outputs"])
    names = b.emit(node, "Split", x, outputs=count, axis=axis)
    if node.flag("squeeze_axis"):
        at = b.const(np.int64([axis]))
        names = [b.emit(node, "Squeeze", [name, at]) for name in names]
    return names


def _sliced(b, node, x, axes, begins, ends, steps):
    arrays = (begins, ends, axes, steps)
    return b.emit(node, "Slice", [x, *(b.const(np.int64(values)) for values in arrays)])


FAR = np.iinfo(np.int64).max


@converts("slice")
def _slice(b, node, x):
    begin, end = node.integers("begin"), node.integers("end")
    step = node.integers("step") or (None,) * len(begin)
    step = [1 if s is None else s for s in step]
    starts = [(0 if s > 0 else FAR) if v is None else v for v, s in zip(begin, step)]
    stops = [(FAR if s > 0 else -FAR) if v is None else v for v, s in zip(end, step)]
    return _sliced(b, node, x[0], list(range(len(begin))), starts, stops, step)


@converts("slice_axis")
def _slice_axis(b, node, x):
    axis, begin, end = int(node.value("axis")), int(node.value("begin", 0)), node.value("end")
    return _sliced(b, node, x[0], [axis], [begin], [FAR if end is None else int(end)], [1])


@converts("slice_like")
def _slice_like(b, node, x):
    rank, like = b.rank(node.inputs[0]), b.shape(node.inputs[1])
    axes = [axis % rank for axis in node.integers("axes")] or list(range(rank))
    axes = [axis for axis in axes if not b.is_batch(node.inputs[1], axis)]
    return _sliced(
        b, node, x[0], axes, [0] * len(axes), [like[axis] for axis in axes], [1] * len(axes)
    )


def _resized(b, node, x, **options):
    """Resize to the size that MXNet inferred, at any batch size."""
    start, two = b.const(np.int64([0])), b.const(np.int64([2]))
    outer = b.emit(node, "Slice", [b.emit(node, "Shape", [x]), start, two])
    inner = b.const(np.int64(b.shape((node, 0))[2:]))
    sizes = b.emit(node, "Concat", [outer, inner], axis=0)
    return b.emit(node, "Resize", [x, "", "", sizes], **options)


@converts("UpSampling")
def _up_sampling(b, node, x):
    if node.attrs.get("sample_type") != "nearest" or len(x) != 1:
        raise unsupported(node, f"sample_type={node.attrs.get('sample_type')}")
    return _resized(
        b,
        node,
        x[0],
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


@converts("_contrib_BilinearResize2D")
def _bilinear(b, node, x):
    aligned = node.flag("align_corners", True)
    mode = "align_corners" if aligned else "pytorch_half_pixel"
    return _resized(b, node, x[0], mode="linear", coordinate_transformation_mode=mode)


@converts("Pad", "pad")
def _pad(b, node, x):
    width = node.integers("pad_width")
    pads = b.const(np.int64([*width[::2], *width[1::2]]))
    value = b.const(np.float32(node.value("constant_value", 0)))
    return b.emit(node, "Pad", [x[0], pads, value], mode=str(node.value("mode", "constant")))


@converts("_contrib_arange_like")
def _arange_like(b, node, x):
    if "axis" not in node.attrs or b.is_batch(node.inputs[0], int(node.attrs["axis"])):
        raise unsupported(node, "it counts along the batch")
    count = b.shape(node.inputs[0])[int(node.attrs["axis"])]
    start, step = float(node.value("start", 0)), float(node.value("step", 1))
    return b.const(np.float32(start + step * np.arange(count)))


@converts("tile")
def _tile(b, node, x):
    reps = node.integers("reps")
    rank = b.rank(node.inputs[0])
    if len(reps) > rank:
        raise unsupported(node, "it adds dimensions")
    return b.emit(node, "Tile", [x[0], b.const(np.int64([1] * (rank - len(reps)) + list(reps)))])


@converts("broadcast_like")
def _broadcast_like(b, node, x):
    if node.attrs.get("lhs_axes", "None") not in ("None", "()"):
        raise unsupported(node, "it broadcasts some axes only")
    return b.emit(node, "Expand", [x[0], b.emit(node, "Shape", [x[1]])])


@converts("broadcast_axis", "broadcast_axes", "broadcast_to")
def _broadcast_to(b, node, x):
    before, after = b.shape(node.inputs[0]), b.shape((node, 0))
    if any(b.is_batch((node, 0), i) for i, n in enumerate(before) if n != after[i]):
        raise unsupported(node, "it broadcasts to the batch size")
    wanted = [n if n != m else 1 for n, m in zip(after, before)]
    return b.emit(node, "Expand", [x[0], b.const(np.int64(wanted))])
