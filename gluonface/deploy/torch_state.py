"""Write a backbone's weights for PyTorch: a safetensors file that the public class loads."""

from __future__ import annotations

import logging
import os
import pathlib
import typing

import numpy as np

from ..errors import GluonfaceError, InputError
from ..files import atomic_write
from ..model_zoo import get_model
from ..model_zoo._batch_norm import batch_norms
from ..weights.load import load_net
from ..weights.names import modules_of, renamed
from ..weights.names.state_dict import PUBLIC, SCALE, state_dict
from ..weights.opened import AnySource, open_weights
from ..weights.safetensors import safetensors_bytes
from ..weights.source import find_backbone
from .engines import largest_difference
from .parity import noise

__all__ = ["export_torch"]

logger = logging.getLogger(__name__)

AGREE = 1e-4  # of unit embeddings


def export_torch(
    source: AnySource, path: str | os.PathLike, licence: str | None = None
) -> pathlib.Path:
    """Write the state dict that the public PyTorch class of a backbone loads with strict=True.

    Parameters
    ----------
    source : str, pathlib.Path, Source or Weights
        One that names its backbone: NAME:FILE or a run folder.
    path : str or pathlib.Path
        Ends in ``.safetensors``. The preprocessing, which a state dict does not hold, is in the
        file's metadata: ``mean``, ``std`` (in units of 255), ``color``, ``input_size``,
        ``embedding_size``, ``licence``, ``source`` and ``class``.
    licence : str, optional
        Of the weights; default that of the model card beside them.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the source does not name a backbone, or that has no public class.
    GluonfaceError
        If what would be written gives other embeddings; nothing is written then.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix != ".safetensors" or path.is_dir():
        raise InputError(f"{path}: expected the name of a file that ends in .safetensors")
    given = open_weights(source)
    weights = given
    if given.source.name is None and isinstance(source, (str, os.PathLike)):
        weights = open_weights(find_backbone(source))
    if weights.source.name is None:
        raise InputError(
            f"{weights} does not name its backbone, which the names of the tensors depend on; give "
            "a run folder or NAME:FILE"
        )
    net = load_net(weights)
    _use_own_eps(net)
    arrays = state_dict(net, modules_of(net, weights))
    _check(net, arrays, weights)
    cfg = net.cfg
    licence = licence or (given.card or {}).get("licence")
    metadata = {
        "format": "pt",
        "mean": "0.5,0.5,0.5",
        "std": "0.5,0.5,0.5",
        "color": cfg.color,
        "input_size": ",".join(str(n) for n in cfg.input_size),
        "embedding_size": str(cfg.embedding_size),
        "licence": licence or "",
        "source": str(weights),
        "class": PUBLIC[cfg.name].format(size=cfg.embedding_size),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(safetensors_bytes(arrays, metadata))
    logger.info("%s: for %s", path, metadata["class"])
    return path


def _use_own_eps(net: typing.Any) -> None:
    """Move what another eps of imported weights adds to a variance into it: a file has no eps."""
    if not net.cfg.batch_norm:
        return
    own = batch_norms(get_model(net.cfg.name, net.cfg.embedding_size))
    for name, norm in batch_norms(net).items():
        more = norm._kwargs["eps"] - own[name]._kwargs["eps"]
        norm.running_var.set_data(norm.running_var.data() + more)
        norm._kwargs["eps"] = own[name]._kwargs["eps"]
    logger.info("the eps of %s went into its running variances", net.cfg.name)


def _check(net: typing.Any, arrays: dict[str, np.ndarray], source: typing.Any) -> None:
    """Raise GluonfaceError unless the tensors, read again, give the network's embeddings."""
    from .._compat import mx

    cfg = net.cfg
    again = get_model(cfg.name, cfg.embedding_size, mean=cfg.mean, scale=SCALE)
    values = renamed(again, arrays, source)
    ours = again._collect_params_with_prefix()
    shared = {id(ours[name]): value for name, value in values.items()}
    for parameter in ours.values():
        parameter.set_data(mx.nd.array(shared[id(parameter)]))
    images = mx.nd.array(noise(cfg.input_size))
    difference = largest_difference(again(images).asnumpy(), net(images).asnumpy())
    if not difference < AGREE:
        raise GluonfaceError(
            f"the tensors for PyTorch give other embeddings than {source} (by {difference:.2g}); "
            "nothing was written"
        )
