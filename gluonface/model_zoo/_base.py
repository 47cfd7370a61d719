"""What every backbone has: its description, its registry and the contract of its input."""

from __future__ import annotations

import dataclasses
import logging
import typing

from .._compat import mx
from ..errors import InputError
from ..nn import computing_on, prelu_form
from ..registry import Registry
from ._batch_norm import BatchNormSettings
from ._count import count

__all__ = ["BACKBONES", "Backbone", "ModelCfg", "cavaface_cfg", "register"]

logger = logging.getLogger(__name__)

BACKBONES = Registry("model")


@dataclasses.dataclass(frozen=True)
class ModelCfg:
    """Description of a backbone, for the registry, the model card and the documentation.

    Parameters
    ----------
    name : str
        Registered name.
    embedding_size : int
        Length D of the embedding.
    params : int
        Trainable parameters at this embedding size.
    macs : int
        Multiply-accumulates of convolutions and linear layers for one image.
    params_per_dim, macs_per_dim : int
        What one more embedding dimension adds to `params` and `macs`.
    paper, source : str
        Where the architecture was published, and which implementation the numbers are from.
    note : str
        A remark for the tables.
    input_size : tuple of int
        Height and width of the input.
    mean, scale : float
        Preprocessing inside the network: ``(x - mean) * scale`` of pixels 0..255.
    color : str
        Order of the input's channels.
    batch_norm : dict of str to dict
        What the BatchNorms have that is not the architecture's; see `get_model`.
    """

    name: str
    embedding_size: int
    params: int
    macs: int
    params_per_dim: int
    macs_per_dim: int
    paper: str
    source: str
    note: str = ""
    input_size: tuple[int, int] = (112, 112)
    mean: float = 127.5
    scale: float = 1 / 128
    color: str = "RGB"
    batch_norm: BatchNormSettings = dataclasses.field(default_factory=dict, hash=False)

    def resized(self, embedding_size: int) -> ModelCfg:
        """Return the description of the same network with another embedding size."""
        more = embedding_size - self.embedding_size
        return dataclasses.replace(
            self,
            embedding_size=embedding_size,
            params=self.params + more * self.params_per_dim,
            macs=self.macs + more * self.macs_per_dim,
        )

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the fields as a dict that JSON can hold."""
        return {**dataclasses.asdict(self), "input_size": list(self.input_size)}


def cavaface_cfg(
    name: str, params: int, macs: int, paper: str, inputs: int = 512, learned: int = 2, **others
) -> ModelCfg:
    """Return the description of one of cavaface's networks, at 512 dimensions.

    Parameters
    ----------
    name, params, macs, paper
        As of `ModelCfg`.
    inputs : int, default 512
        Inputs of the linear layer that gives the embedding.
    learned : int, default 2
        How many other parameters each dimension has: bias, gamma and beta.
    **others
        Fields of `ModelCfg` that differ from cavaface's.
    """
    fields: dict[str, typing.Any] = {
        "params_per_dim": inputs + learned,
        "macs_per_dim": inputs,
        "source": "https://github.com/cavalleria/cavaface",
        "scale": 1 / 127.5,
        **others,
    }
    return ModelCfg(name, 512, params, macs, paper=paper, **fields)


def register(
    cfg: ModelCfg, aliases: typing.Sequence[str] = ()
) -> typing.Callable[[typing.Callable], typing.Callable]:
    """Return a decorator that registers a function that builds a backbone.

    Parameters
    ----------
    cfg : ModelCfg
        Its name, in lower case, is that of the backbone.
    aliases : sequence of str
        Other names of it.

    Returns
    -------
    callable
        Takes ``build(cfg, **kwargs) -> Backbone`` and returns it. `get_model` calls it with `cfg`
        as changed by its own arguments, the form of PReLU (``prelu``) and ``prefix``.

    Raises
    ------
    ValueError
        If a name is taken or not in lower case.
    """

    def decorator(build):
        BACKBONES.register(cfg.name, aliases)((cfg, build))
        return build

    return decorator


class Backbone(mx.gluon.HybridBlock):
    """Images (N, 3, H, W), RGB, 0..255 -> embeddings (N, D), not normalised.

    A subclass sets `stem`, `stages` and `head`, or overrides `embed`. It takes `cfg`, what its own
    docstring names, and the form of its PReLUs as ``prelu``, see `gluonface.nn.PReLU`; families
    without PReLUs ignore that.

    Parameters
    ----------
    cfg : ModelCfg
    """

    _cached_graph: typing.Any  # of Gluon's HybridBlock

    def __init__(self, cfg: ModelCfg, **kwargs):
        super().__init__(**kwargs)
        self.cfg = cfg

    def forward(self, x, *args):
        """Check an array's shape and type, which MXNet would compute with regardless."""
        if isinstance(x, mx.nd.NDArray):
            expected = (3, *self.cfg.input_size)
            if x.ndim != 4 or x.shape[1:] != expected:
                raise InputError(
                    f"{self.cfg.name} got an input of shape {x.shape}; expected images "
                    f"(N, {', '.join(str(n) for n in expected)}), RGB, channels first"
                )
            if x.dtype.__name__ not in ("float16", "float32", "float64", "bfloat16"):
                raise InputError(
                    f"{self.cfg.name} got {x.dtype.__name__} pixels; "
                    "expected floating point 0..255: use images.astype('float32')"
                )
            with computing_on(x):
                return super().forward(x, *args)
        return super().forward(x, *args)

    def hybrid_forward(self, F, x):
        """Return embeddings (N, D) of images `x` (N, 3, H, W) with values 0..255."""
        return self.embed(F, (x - self.cfg.mean) * self.cfg.scale)

    def embed(self, F: typing.Any, x: typing.Any) -> typing.Any:
        """Return embeddings (N, D) of preprocessed images `x` (N, 3, 112, 112)."""
        return self.head(self.stages(self.stem(x)))

    def save_parameters(self, filename: str, *args, **kwargs) -> None:
        """As of `mxnet.gluon.Block`; a warning names settings that such a file does not hold."""
        super().save_parameters(filename, *args, **kwargs)
        if self.cfg.batch_norm:
            logger.warning(
                "%s does not say that BatchNorms have other settings than %s has: load it into "
                "get_model(%r, batch_norm=%r). `gluonface import` and `gluonface export` write a "
                "model card that says it",
                *(filename, self.cfg.name, self.cfg.name, self.cfg.batch_norm),
            )

    def count(self, convention: str = "macs") -> int:
        """Return the operations for one image as a published table would count them.

        Parameters
        ----------
        convention : {"macs", "cavaface", "mixfacenets", "ptflops"}, default "macs"
            "macs": multiply-accumulates of convolutions and linear layers, as in ``cfg.macs``. The
            others are those of cavaface's, MixFaceNets' and arcface_torch's tables.

        Returns
        -------
        int

        Raises
        ------
        InputError
            For another convention.
        """
        return count(self, convention)

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True) -> None:
        """Write symbol and parameters as Gluon's blocks do, in MXNet's own operators.

        The graph that a hybridized network runs may hold operators of `gluonface.native`.
        `gluonface.deploy.export_model` also writes ONNX and a model card.

        Parameters
        ----------
        path : str
            Written are ``PATH-symbol.json`` and ``PATH-0000.params``, by `epoch`.
        epoch : int, default 0
        remove_amp_cast : bool, default True

        Raises
        ------
        RuntimeError
            If the network was not hybridized, or has not run yet.
        """
        in_use = self._cached_graph
        if in_use:  # else Gluon raises
            self._cached_graph = [mx.sym.var("data")], self.to_symbol()
        try:
            super().export(path, epoch, remove_amp_cast)
        finally:
            self._cached_graph = in_use

    def to_symbol(self, form: str = "plain") -> typing.Any:
        """Return the network as a Symbol of the input ``data``.

        Parameters
        ----------
        form : {"plain", "elementwise", "fast"}, default "plain"
            Form of the PReLUs. "plain" is the one that other tools read, so it is for export.
        """
        with prelu_form(form):
            return self(mx.sym.var("data"))
