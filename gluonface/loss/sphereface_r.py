"""SphereFace-R: SphereFace revived, with real factors on the angle, on either side."""

import math

from ..errors import InputError
from ._margin import LOSSES, Margin, Parameter, declare, scale_parameter

__all__ = ["SphereFaceR"]

MIN_SINE = 1e-3  # below it 1 / sin is constant, see `_angle.safe_angle`


@LOSSES.register("sphereface_r", aliases=("spherefacer",))
class SphereFaceR(Margin):
    r"""SphereFace with a real factor m on the target's angle, or 1/m on all other angles.

    .. math:: v0:&\quad z_y = s\, \psi(m \theta_y), \quad z_j = s \cos\theta_j \\
              v1:&\quad z_y = s \cos\min(m \theta_y, \pi), \quad z_j = s \cos\theta_j \\
              v2:&\quad z_y = s \cos\theta_y, \quad z_j = s \cos(\theta_j / m)

    with :math:`\psi(a) = (-1)^k \cos a - 2k` and :math:`k = \lfloor a / \pi \rfloor`. With `norm`
    N and S the length of the embedding takes the place of s in the logits, and S adds
    :math:`t\, | \|x\| - s |` to the loss. `strength` k makes the factor 1 + k (m - 1).

    The gradient ``detached`` replaces the slope of a logit by its cosine by s. So v1 also pulls
    samples whose angle exceeds :math:`\pi / m`, where its curve is flat.

    Notes
    -----
    The authors' repository (opensphere) multiplies the loss by 50/s with H and S, here
    ``weight=50``; has s 30 and m 1.5 for H, s 60 and m 1.4 in its configuration of v2; and for N
    and S raises m from 1 by 0.1 with each step of a schedule. Its class for N cannot be made as
    published.
    """

    title = "SphereFace-R"
    authors = "Liu, Wen, Raj, Singh, Weller"
    paper = "SphereFace Revived: Unifying Hyperspherical Face Recognition"
    year = 2022
    venue = "TPAMI 2022"
    arxiv = "2109.05565"
    formula_text = "v1: z_y = s cos(min(m theta_y, pi)); v2: z_j = s cos(theta_j / m)"
    parameters = declare(
        version=Parameter("v1", "where the margin is", choices=("v0", "v1", "v2")),
        norm=Parameter(
            "H",
            "what the length of an embedding does",
            more="``H``: nothing, it is replaced by s. ``N``: it is a factor of the logits. ``S``: "
            "that, and it is drawn to s.",
            choices=("H", "N", "S"),
        ),
        margin=Parameter(
            1.5, "factor m on angles", low=1.0, high=10.0, why="below 1 it would be none"
        ),
        scale=scale_parameter(30.0),
        t=Parameter(0.01, "weight of the penalty of S", low=0.0, why="it is a weight"),
        weight=Parameter(
            None,
            "the loss is multiplied by this over s; none leaves it as it is",
            more="Not with N. The penalty is not multiplied.",
            above=0.0,
            why="it is a weight",
        ),
        gradient=Parameter(
            "detached",
            "detached: the slope of a logit by its cosine counts as s; exact: as it is",
            choices=("detached", "exact"),
        ),
    )

    def __init__(self, **params):
        super().__init__(**params)
        if self.norm == "N" and self.weight is not None:
            raise InputError(
                f"sphereface_r: weight={self.weight:g} is not allowed with norm='N', which has no "
                "scale; leave it out"
            )

    @property
    def unit_embedding(self):
        """Whether embeddings are normalised."""
        return self.norm == "H"

    @property
    def plain_at_0(self):
        """Whether `strength` 0 is the normalised softmax."""
        return self.norm == "H"

    @property
    def homogeneous(self):
        """Whether all logits are proportional to the length of the embedding."""
        return self.norm != "H"

    @property
    def target_inputs(self):
        """What `target` takes."""
        return ("norm",) if self.homogeneous else ()

    others_inputs = target_inputs

    @property
    def changes_others(self):
        """Whether the logits of the other classes are more than scaled cosines."""
        return self.version == "v2" or self.homogeneous

    @property
    def penalises_norm(self):
        """Whether a penalty on the length is added."""
        return self.norm == "S"

    @property
    def loss_factor(self):
        """The factor of the cross entropy."""
        return 1.0 if self.weight is None else self.weight / self.scale

    def norm_penalty(self, F, norm, strength):
        """Return t times the distance of the norm from s, by the factor of the whole loss."""
        return F.abs(norm - self.scale) * (self.t / self.loss_factor)

    def target(self, F, cosine, strength, norm=None):
        """Return the margined cosine of the target, times the norm unless it is H."""
        if self.version == "v2":
            return cosine if norm is None else cosine / self.scale
        cosine = cosine if norm is None else cosine / F.maximum(norm, 1e-12)
        factor = 1.0 + strength * (self.margin - 1.0)
        angle = _angle(F, cosine) * factor
        turns = F.floor(angle / math.pi)
        if self.version == "v0":
            sign = 1.0 - 2.0 * (turns - 2.0 * F.floor(turns / 2.0))
            value = sign * F.cos(angle) - 2.0 * turns
        else:
            angle = F.minimum(angle, math.pi)
            sign, value = 1.0, F.cos(angle)
        slope = None
        if self.gradient == "exact":
            slope = sign * factor * F.sin(angle) / _sine(F, cosine)
        return self._joined(F, cosine, value, slope, norm)

    def others(self, F, cosine, strength, target_cosine, target, norm=None):
        """Return the cosines of the angles over m, times the norm unless it is H."""
        if norm is not None:
            if self.version != "v2":
                return cosine / self.scale
            cosine = F.broadcast_div(cosine, F.maximum(norm, 1e-12))
        if self.version != "v2":
            return cosine
        factor = 1.0 + strength * (self.margin - 1.0)
        angle = F.broadcast_div(_angle(F, cosine), factor)
        slope = None
        if self.gradient == "exact":
            slope = F.broadcast_div(F.sin(angle), factor) / _sine(F, cosine)
        return self._joined(F, cosine, F.cos(angle), slope, norm)

    def _joined(self, F, cosine, value, slope, norm):
        """Return `value` with `slope` (None is 1), times the norm over the scale, if given."""
        step = cosine - F.BlockGrad(cosine)  # exactly 0
        value = F.BlockGrad(value) + (step if slope is None else F.BlockGrad(slope) * step)
        if norm is None:
            return value
        return F.broadcast_mul(value, norm) / self.scale


def _angle(F, cosine):
    return F.arccos(F.clip(F.BlockGrad(cosine), -1.0, 1.0))


def _sine(F, cosine):
    inside = F.clip(F.BlockGrad(cosine), -1.0, 1.0)
    return F.maximum(F.sqrt((1.0 - inside) * (1.0 + inside)), MIN_SINE)
