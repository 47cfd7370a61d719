"""MV-Softmax: misclassified negatives weigh more, by their cosine or by a constant."""

from ._margin import LOSSES, Margin, Parameter, declare
from .svx import kind_parameters, support_target

__all__ = ["MVSoftmax"]


@LOSSES.register("mv", aliases=("mv-softmax",))
class MVSoftmax(Margin):
    r"""Misclassified vector guided softmax: classes that beat the margined target are raised.

    .. math:: z_y = s f(\theta_y), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le f(\theta_y),
              \text{ else } s ((1 + t) \cos\theta_j + t) \text{ or } s (\cos\theta_j + t)

    Parameters
    ----------
    kind : {"softmax", "am", "arc"}, default "arc"
        f: the cosine itself, CosFace's (MV-AM) or ArcFace's (MV-Arc).
    margin : float, optional
        m of `kind`: 0.35 in units of cosine for ``am``, 0.5 radians for ``arc`` if left out.
    t : float, default 0.2
        At least 0; 0 is the margin alone. `SVXSoftmax`'s t is this one plus 1.
    scale : float, default 32.0
        The factor s > 0.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi, as for ArcFace.
    mode : {"adaptive", "fixed"}, default "adaptive"
        Whether a misclassified negative is raised by t (1 + cosine) or by t.

    Notes
    -----
    What cavaface calls SVX is this loss; its angular kind has the policy ``none``.

    References
    ----------
    Wang et al.: Mis-classified Vector Guided Softmax Loss for Face Recognition, 2019,
    arXiv 1912.00833.
    """

    name = "mv"
    title = "MV-Softmax"
    paper = "Mis-classified Vector Guided Softmax Loss for Face Recognition"
    year = 2019
    arxiv = "1912.00833"
    family = "hard-negative"
    formula_text = "z_j = s ((1 + t) cos(theta_j) + t) where cos(theta_j) > f(theta_y)"
    parameters = declare(
        **kind_parameters(
            Parameter(
                0.2, "weight of misclassified ones", low=0.0, why="below 0 they would weigh less"
            ),
            32.0,
        ),
        mode=Parameter("adaptive", "by t (1 + cosine) or by t", choices=("adaptive", "fixed")),
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return support_target(F, cosine, strength, self.kind, self.margin, self.policy)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the cosines, raised where they exceed the margined target."""
        t = self.t * strength
        if self.mode == "fixed":
            raised = F.broadcast_add(cosine, t)
        else:
            raised = F.broadcast_add(F.broadcast_mul(cosine, 1.0 + t), t)
        return F.where(F.broadcast_greater(cosine, target), raised, cosine)
