"""A margin's formulas with their derivatives: autograd runs on these alone, and at once.

The backward pass of the step is written by hand and needs each derivative as an array.
"""

from .._compat import mx
from ..loss._block import state_array
from .array_operations import empty_matrix, on_host, row_blocks

__all__ = ["class_penalty", "norm_terms", "others", "target"]

nd = mx.nd


def _inputs(margin, names, total, ctx, norms):
    """Return the named inputs of a margin's formula but for further margins, each (total,).

    A name is ``"norm"``, for the lengths of the embeddings, or one of the margin's state.
    """
    inputs = {}
    for name in names:
        if name == "norm":
            inputs[name] = norms
        elif name not in ("class_margin", "row_margin", "bank_cosine"):
            value = state_array(margin.state[name], ctx)
            inputs[name] = nd.broadcast_to(value, shape=(total,))
    return inputs


def target(
    margin, cosine, strength, norms=None, class_margin=None, row_margin=None, bank_cosine=None
):
    """Return margined target cosines with their derivatives.

    Parameters
    ----------
    margin : Margin
    cosine : NDArray (k,)
        Of samples to their own classes.
    strength : float
        0..1, the share of the margin.
    norms : NDArray (k,), optional
        The lengths of the embeddings.
    class_margin : NDArray (k,), optional
        The learned margins of the samples' classes.
    row_margin : NDArray (k,), optional
        The samples' own margins.
    bank_cosine : NDArray (k,), optional
        Of samples to their classes' rows of the bank.

    Returns
    -------
    margined, by_cosine : NDArray (k,)
    by_class_margin, by_bank_cosine : NDArray (k,) or None
    """
    inputs = _inputs(margin, margin.target_inputs, cosine.shape[0], cosine.context, norms)
    cosine = cosine.copy()
    strength = nd.full(cosine.shape, strength, ctx=cosine.context)
    cosine.attach_grad()
    if class_margin is not None:
        class_margin.attach_grad()
        inputs["class_margin"] = class_margin
    if row_margin is not None:
        inputs["row_margin"] = row_margin
    if bank_cosine is not None:
        bank_cosine.attach_grad()
        inputs["bank_cosine"] = bank_cosine
    with mx.autograd.record():
        margined = margin.target(nd, cosine, strength, **inputs)
    margined.backward()
    more = [None if each is None else each.grad for each in (class_margin, bank_cosine)]
    return margined.detach(), cosine.grad, *more


def others(margin, cosine, strength, target_cosine, norms=None):
    """Make of cosines the other classes' logits over the scale; return their derivatives, (N, n).

    A block of rows at a time, in place: a formula has up to a dozen intermediate arrays.

    Parameters
    ----------
    margin : Margin
    cosine : NDArray (N, n)
        Overwritten.
    strength : float
    target_cosine : NDArray (N,) or None
        For hard-negative losses.
    norms : NDArray (N,), optional
        The lengths of the embeddings.
    """
    total, ctx = cosine.shape[0], cosine.context
    strength = nd.full((total,), strength, ctx=ctx)
    columns = [strength]
    if margin.family == "hard-negative":
        inputs = _inputs(margin, margin.target_inputs, total, ctx, norms)
        columns += [target_cosine, margin.target(nd, target_cosine, strength, **inputs)]
    columns = [nd.expand_dims(column, axis=1) for column in columns]
    inputs = _inputs(margin, margin.others_inputs, total, ctx, norms)
    inputs = {name: nd.expand_dims(value, axis=1) for name, value in inputs.items()}
    gradient = empty_matrix(cosine.shape, ctx)
    for block in row_blocks(cosine):
        cosines = cosine[block].copy()
        cosines.attach_grad()
        given = [*(column[block] for column in columns), None, None][:3]
        with mx.autograd.record():
            named = {name: value[block] for name, value in inputs.items()}
            logits = margin.others(nd, cosines, *given, **named)
        logits.backward()
        cosine[block], gradient[block] = logits.detach(), cosines.grad
        if on_host(cosine):  # else the next blocks' arrays pile up before this one's are freed
            gradient.wait_to_read()
    return gradient


def norm_terms(margin, strength, norm, target_cosine, by_target):
    """Return the penalty on the norms (B,), and the derivatives of the losses by the norms (B,).

    `by_target` (B,) is the derivative of each loss by the margined cosine of its target.
    """
    norm = norm.copy()
    norm.attach_grad()
    strengths = nd.full(norm.shape, strength, ctx=norm.context)
    penalty = nd.zeros_like(norm)
    with mx.autograd.record():
        terms = norm * 0.0
        if margin.penalises_norm:
            penalty = terms = margin.norm_penalty(nd, norm, strengths)
        if margin.norm_gradient:
            inputs = _inputs(margin, margin.target_inputs, norm.shape[0], norm.context, norm)
            terms = terms + by_target * margin.target(nd, target_cosine, strengths, **inputs)
    terms.backward()
    return penalty.detach(), norm.grad


def class_penalty(margin, strength, mean):
    """Return the penalty on the mean class margin (1,), and its derivative by the mean (1,)."""
    mean = mean.copy()
    mean.attach_grad()
    strength = nd.full((1,), strength, ctx=mean.context)
    with mx.autograd.record():
        penalty = margin.class_penalty(nd, mean, strength)
    penalty.backward()
    return penalty.detach(), mean.grad
