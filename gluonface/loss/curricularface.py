"""CurricularFace: hard negatives weigh more as training succeeds."""

from ._margin import LOSSES, Parameter, declare
from .arcface import ArcFace

__all__ = ["CurricularFace"]


@LOSSES.register("curricularface")
class CurricularFace(ArcFace):
    r"""Adaptive curriculum learning loss: hard negatives weigh more as training goes on.

    .. math:: z_y = s \cos(\theta_y + m), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le \cos(\theta_y + m),
              \text{ else } s \cos\theta_j (t + \cos\theta_j)

    t is a running mean of the target's cosine over the global batch, so that hard negatives weigh
    less at first and more later: t becomes ``share`` r + (1 - ``share``) t before each
    use, r the batch's mean. It starts at 0, carries no gradient, and checkpoints keep it.

    Notes
    -----
    In cavaface t is each process's own, and with mixed precision a float16 number in which a
    change below about 0.02 is lost.
    """

    title = "CurricularFace"
    authors = "Huang et al."
    paper = "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition"
    year = 2020
    arxiv = "2004.00288"
    family = "hard-negative"
    formula_text = "z_j = s cos(theta_j) (t + cos(theta_j)) where cos(theta_j) > cos(theta_y + m)"
    parameters = declare(
        margin=ArcFace.parameters["margin"],
        scale=ArcFace.parameters["scale"],
        share=Parameter(
            0.01,
            "of the batch in the running mean t",
            more="The paper's text says 0.99; its author says that the code, which has 0.01, is "
            "right.",
            above=0.0,
            high=1.0,
            why="it is a share",
        ),
        policy=ArcFace.parameters["policy"],
    )
    initial_state = declare(t=0.0)
    others_inputs = ("t",)
    statistics = ("cosine",)

    def update(self, F, cosine):
        """Move t towards the batch's mean target cosine."""
        mean = F.mean(F.clip(cosine, -1.0, 1.0))
        self.state["t"] = self.share * mean + (1.0 - self.share) * self.state["t"]

    def others(self, F, cosine, strength, target_cosine, target, t):
        """Return c, or c (t + c) where c exceeds the margined target."""
        factor = F.broadcast_add(cosine, t - 1.0)  # t + c, less the 1 of no margin
        bent = cosine + F.broadcast_mul(cosine * factor, strength)
        return F.where(F.broadcast_greater(cosine, target), bent, cosine)
