"""Which operators blocks compute with: our own, oneDNN's, or those that other tools read."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import sys
import types
import typing

import numpy

from .. import native
from .._compat import mx
from ..errors import InputError

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

_form: contextvars.ContextVar[str | None] = contextvars.ContextVar("prelu_form", default=None)
_without_onednn = contextvars.ContextVar("without_onednn", default=False)


def check_form(form: str) -> str:
    """Return `form`, or raise InputError if there is none of that name."""
    if form not in FORMS:
        raise InputError(f"unknown PReLU form {form!r}; expected one of {', '.join(FORMS)}")
    return form


def prelu_form(form: str) -> contextlib.AbstractContextManager[None]:
    """Return a context in which every PReLU that is traced or run eagerly takes `form`.

    It holds for this thread. Networks that were hybridized and have run keep the form that they
    were traced with.

    Parameters
    ----------
    form : {"fast", "elementwise", "plain"}
    """
    return native.setting(_form, check_form(form))


def current_form(form: str) -> str:
    """Return the form in use for a block whose own is `form`."""
    form = _form.get() or form
    return "elementwise" if form == "fast" and _without_onednn.get() else form


def is_export() -> bool:
    """Return whether a graph is being exported: within a `prelu_form` of "plain"."""
    return _form.get() == "plain"


def without_onednn() -> contextlib.AbstractContextManager[None]:
    """Return a context in which "fast" means "elementwise": for arrays that are not on a CPU."""
    return native.setting(_without_onednn, True)


def computing_on(x: typing.Any) -> contextlib.AbstractContextManager[None]:
    """Return a context in which blocks take the fastest operators for the NDArray `x`."""
    if x.context.device_type == "gpu":
        return without_onednn()
    if x.dtype == numpy.float32 and has_onednn() and not amp_is_on():
        return native.allowed()
    return contextlib.nullcontext()


def our_operators(F: typing.Any) -> types.SimpleNamespace | None:
    """Return `gluonface.native`'s operators for `F`, or None where another form is asked for.

    They are given within `computing_on` a float32 array on a CPU, and so not to a graph that is
    made from a Symbol.
    """
    return native.operators(F) if _form.get() in (None, "fast") else None


def in_blocks(F: typing.Any, x: typing.Any) -> typing.Any:
    """Return a map `x` in a layout in which oneDNN's BatchNorm is fast, if our operators are there.

    For maps that come out of an operator in MXNet's own layout, such as a concatenation.
    """
    ours = our_operators(F)
    return x if ours is None else ours.blocks(x)


def gradient_in_blocks(F: typing.Any, x: typing.Any) -> typing.Any:
    """Return `x`; its gradient comes back in the layout of `in_blocks`."""
    ours = our_operators(F)
    return x if ours is None else ours.gradient_blocks(x)


@functools.cache
def has_onednn() -> bool:
    """Return whether MXNet has oneDNN (once called MKL-DNN) and uses it."""
    return os.environ.get("MXNET_MKLDNN_ENABLED", "1") != "0" and (
        mx.runtime.Features().is_enabled("MKLDNN")
    )


def amp_is_on() -> bool:
    """Return whether MXNet's automatic mixed precision has been switched on in this process."""
    amp = sys.modules.get("mxnet.contrib.amp.amp")
    return amp is not None and amp._amp_initialized
