"""How blocks compute: by oneDNN's operators and our own, by MXNet's alone, or for export."""

import contextlib
import functools
import os
import sys

import numpy

from .. import native
from .._compat import mx
from ..errors import InputError
from ..scoped import Scoped

__all__ = [
    "FORMS",
    "amp_is_on",
    "check_form",
    "computing_on",
    "current_form",
    "gradient_in_blocks",
    "has_onednn",
    "in_blocks",
    "is_export",
    "our_operators",
    "prelu_form",
    "without_onednn",
]

FORMS = ("fast", "elementwise", "plain")

_override = Scoped(form=None, without_onednn=False)


def check_form(form):
    """Return `form`, or raise InputError if there is none of that name."""
    if form not in FORMS:
        raise InputError(f"unknown PReLU form {form!r}; expected one of {', '.join(FORMS)}")
    return form


def prelu_form(form):
    """Return a context in which every PReLU that is traced or run eagerly takes `form`.

    It is for this thread. Networks that were hybridized and have run keep the form that they were
    traced with.

    Parameters
    ----------
    form : {"fast", "elementwise", "plain"}
    """
    return _override.within("form", check_form(form))


def current_form(form):
    """Return the form in use for a block whose own is `form`."""
    form = _override.form or form
    return "elementwise" if form == "fast" and _override.without_onednn else form


def is_export():
    """Whether a graph is being written for others: within a `prelu_form` of "plain"."""
    return _override.form == "plain"


def without_onednn():
    """Return a context in which "fast" means "elementwise": for arrays that are not on a CPU."""
    return _override.within("without_onednn", True)


def computing_on(x):
    """Return a context in which blocks compute in the way that suits the array `x`."""
    if x.context.device_type == "gpu":
        return without_onednn()
    if x.dtype == numpy.float32 and has_onednn() and not amp_is_on():
        return native.allowed()
    return contextlib.nullcontext()


def our_operators(F):
    """Return `gluonface.native`'s operators for `F`, or None where another form is asked for.

    They are there within `computing_on` an array that they can take, so not in a graph that is
    made of a Symbol.
    """
    return native.operators(F) if _override.form in (None, "fast") else None


def in_blocks(F, x):
    """Return a map `x` in a layout that oneDNN's BatchNorm is fast in, where that can be had.

    For maps that come out of an operator in MXNet's own layout, such as a concatenation.
    """
    ours = our_operators(F)
    return x if ours is None else ours.blocks(x)


def gradient_in_blocks(F, x):
    """Return `x`; its gradient will come back as `in_blocks` would have it."""
    ours = our_operators(F)
    return x if ours is None else ours.gradient_blocks(x)


@functools.cache
def has_onednn():
    """Whether MXNet has oneDNN (once called MKL-DNN) and uses it."""
    return os.environ.get("MXNET_MKLDNN_ENABLED", "1") != "0" and (
        mx.runtime.Features().is_enabled("MKLDNN")
    )


def amp_is_on():
    """Whether MXNet's automatic mixed precision has been switched on in this process."""
    amp = sys.modules.get("mxnet.contrib.amp.amp")
    return amp is not None and amp._amp_initialized
