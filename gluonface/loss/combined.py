"""The combined margin: SphereFace's, ArcFace's and CosFace's margins in one formula."""

from ..errors import InputError
from ._angle import POLICIES, angular_target
from ._margin import (
    LOSSES,
    Margin,
    Parameter,
    angle_parameter,
    cosine_parameter,
    declare,
    scale_parameter,
)

__all__ = ["CombinedMargin"]


@LOSSES.register("combined")
class CombinedMargin(Margin):
    r"""Unified margin of the ArcFace paper: a factor and a term on the angle, a term on the cosine.

    .. math:: z_y = s (\cos(m_1\theta_y + m_2) - m_3), \quad z_j = s \cos\theta_j

    (1, 0.5, 0) is ArcFace, (1, 0, 0.35) CosFace, (1.35, 0, 0) close to SphereFace; the paper
    also uses (1, 0.3, 0.2) and (0.9, 0.4, 0.15).

    Raises
    ------
    InputError
        For ``hard`` with m1 != 1.

    Notes
    -----
    InsightFace's PyTorch class ignores m1 and m2 if m3 is above 0, so (1, 0.3, 0.2) is another
    loss there. It fails for m1 != 1 with m3 = 0. cavaface has no m1, and leaves out m3 beyond pi,
    where its logit jumps up.
    """

    title = "Combined margin"
    authors = "Deng, Guo, Xue, Zafeiriou"
    paper = "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
    year = 2018
    further_reference = "The section on combined margins."
    arxiv = "1801.07698"
    formula_text = "z_y = s (cos(m1 theta_y + m2) - m3)"
    parameters = declare(
        m1=Parameter(
            1.0,
            "factor on the target's angle",
            more="At ``strength`` k it is 1 + k (m1 - 1).",
            low=0.1,
            high=5.0,
            why="as for SphereFace, up to 5",
        ),
        m2=angle_parameter(0.3, more=""),
        m3=cosine_parameter(0.2, more=""),
        scale=scale_parameter(),
        policy=Parameter(
            "auto",
            "what happens where m1 theta + m2 > pi",
            more="``hard``: c - m2 sin(m2) - m3, only for m1 = 1. ``psi``: the continuation that "
            "falls for all angles and has no step, for every m1. ``easy``: margins only where "
            "c > 0. ``none``: the formula everywhere. ``auto`` is ``hard`` for m1 = 1, else "
            "``psi``.",
            choices=("auto", *POLICIES),
        ),
    )

    def __init__(self, **params):
        super().__init__(**params)
        self._rule()

    def _rule(self):
        """Return the policy in force."""
        if self.policy == "auto":
            return "hard" if self.m1 == 1.0 else "psi"
        if self.policy == "hard" and self.m1 != 1.0:
            raise InputError(
                f"combined: policy='hard' is defined for m1=1 only, got m1={self.m1:g}; "
                "use policy='psi', which continues every margin without a step"
            )
        return self.policy

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(
            F,
            cosine,
            1.0 + (self.m1 - 1.0) * strength,
            self.m2 * strength,
            self.m3 * strength,
            self._rule(),
        )
