"""A margin's formulas with their slopes: autograd runs on these alone, and at once.

The step that uses them writes its backward by hand, so it needs each slope as an array.
"""

from .._compat import mx
from ..loss._block import state_array
from .array_operations import on_host, pieces

__all__ = ["class_penalty", "norm_terms", "others", "row_inputs", "target"]

nd = mx.nd


def row_inputs(margin, names, total, ctx, norms=None):
    """Return those of the named inputs that every rank has, each (total,).

    Parameters
    ----------
    margin : Margin
    names : sequence of str
        ``"norm"`` or a name of the margin's state; ``"class_margin"`` is the owner's to add.
    total : int
        How many rows.
    ctx : mxnet.Context
    norms : NDArray (total,), optional
        The lengths of the rows' embeddings.
    """
    inputs = {}
    for name in names:
        if name == "norm":
            inputs[name] = norms
        elif name != "class_margin":
            value = state_array(margin.state[name], ctx)
            inputs[name] = nd.broadcast_to(value, shape=(total,))
    return inputs


def target(margin, cosine, strength, inputs, wanted=()):
    """Return the margined targets (k,), their slopes by the cosine and by the `wanted` inputs."""
    cosine = cosine.copy()
    strength = nd.full(cosine.shape, strength, ctx=cosine.context)
    variables = [cosine, *(inputs[name] for name in wanted)]
    for array in variables:
        array.attach_grad()
    with mx.autograd.record():
        margined = margin.target(nd, cosine, strength, **inputs)
    margined.backward()
    return margined.detach(), [array.grad for array in variables]


def others(margin, cosine, strength, known, inputs, target_inputs):
    """Make of cosines the other classes' logits over the scale; return the slopes, (N, n).

    Some rows at a time, in place: a formula has up to a dozen intermediate arrays.

    Parameters
    ----------
    margin : Margin
    cosine : NDArray (N, n)
        Overwritten.
    strength : float
    known : NDArray (N,) or None
        The target's cosine, for hard-negative losses.
    inputs, target_inputs : dict of str to NDArray (N,)
        Of `Margin.others` and of `Margin.target`.
    """
    strength = nd.full((cosine.shape[0],), strength, ctx=cosine.context)
    columns = [strength]
    if margin.family == "hard-negative":
        columns += [known, margin.target(nd, known, strength, **target_inputs)]
    columns = [nd.expand_dims(column, axis=1) for column in columns]
    inputs = {name: nd.expand_dims(value, axis=1) for name, value in inputs.items()}
    slopes = nd.empty(cosine.shape, ctx=cosine.context)
    for piece in pieces(cosine):
        part = cosine[piece].copy()
        part.attach_grad()
        given = [*(column[piece] for column in columns), None, None][:3]
        with mx.autograd.record():
            logits = margin.others(nd, part, *given, **{n: v[piece] for n, v in inputs.items()})
        logits.backward()
        cosine[piece], slopes[piece] = logits.detach(), part.grad
        if on_host(cosine):  # else the next pieces' arrays pile up before this one's are freed
            slopes.wait_to_read()
    return slopes


def norm_terms(margin, strength, norm, target_cosine, by_target):
    """Return the penalty on the norms (B,), and the slopes of the losses by the norms (B,).

    `by_target` (B,) is the slope of each loss by the margined cosine of its target.
    """
    total, ctx = norm.shape[0], norm.context
    norm = norm.copy()
    norm.attach_grad()
    strength = nd.full((total,), strength, ctx=ctx)
    penalty = nd.zeros_like(norm)
    with mx.autograd.record():
        terms = norm * 0.0
        if margin.penalises_norm:
            penalty = terms = margin.norm_penalty(nd, norm, strength)
        if margin.norm_gradient:
            inputs = row_inputs(margin, margin.target_inputs, total, ctx, norm)
            terms = terms + by_target * margin.target(nd, target_cosine, strength, **inputs)
    terms.backward()
    return penalty.detach(), norm.grad


def class_penalty(margin, strength, mean):
    """Return the penalty on the mean class margin (1,), and its slope (1,)."""
    mean = mean.copy()
    mean.attach_grad()
    strength = nd.full((1,), strength, ctx=mean.context)
    with mx.autograd.record():
        penalty = margin.class_penalty(nd, mean, strength)
    penalty.backward()
    return penalty.detach(), mean.grad
