"""SphereFace, also known as A-Softmax: a factor on the target's angle, annealed."""

import math

from ._margin import LOSSES, Margin, Parameter, declare

__all__ = ["SphereFace"]

# cos(m theta) as a polynomial of c = cos(theta), highest power first.
MULTIPLE = {
    1: (1.0, 0.0),
    2: (2.0, 0.0, -1.0),
    3: (4.0, 0.0, -3.0, 0.0),
    4: (8.0, 0.0, -8.0, 0.0, 1.0),
    5: (16.0, 0.0, -20.0, 0.0, 5.0, 0.0),
}


@LOSSES.register("sphereface", aliases=("a-softmax", "asoftmax"))
class SphereFace(Margin):
    r"""Multiplicative angular margin with annealing: the angle to the own class counts m times.

    .. math:: z_y = s \|x\| \frac{\lambda \cos\theta_y + \psi(\theta_y)}{1 + \lambda}, \quad
              z_j = s \|x\| \cos\theta_j, \quad
              \psi = (-1)^k \cos m\theta - 2k,\; k = \lfloor m\theta/\pi \rfloor

    The softmax comes first and the margin by and by: lambda falls with the count of training
    steps, max(lambda_min, base (1 + gamma step)^-power). The count is part of the state that
    checkpoints keep.

    Parameters
    ----------
    margin : int, default 4
        The factor m on the angle, 1 to 5.
    radius : {"norm", "fixed"}, default "norm"
        ``norm``: the length of the embedding is part of the logits, as in the paper. ``fixed``:
        it counts as 1, and `scale` should be 30 or 64.
    scale : float, default 1.0
        The factor s > 0.
    base, gamma, power, lambda_min : float, defaults 1000, 0.12, 1, 5
        Of the annealing; the values of the authors' code. All at least 0. ``base=0`` and
        ``lambda_min=0`` give the full margin from the start.

    Notes
    -----
    In gluon-face lambda stays what it was when the block was hybridized, evaluation passes count
    as steps, and the count is not saved. cavaface fails with its own default of m.

    References
    ----------
    Liu et al.: SphereFace: Deep Hypersphere Embedding for Face Recognition, 2017,
    arXiv 1704.08063.
    """

    name = "sphereface"
    title = "SphereFace / A-Softmax"
    paper = "SphereFace: Deep Hypersphere Embedding for Face Recognition"
    year = 2017
    arxiv = "1704.08063"
    family = "target-only"
    formula_text = "z_y = s |x| (lambda cos(theta_y) + psi(theta_y)) / (1 + lambda)"
    parameters = declare(
        margin=Parameter(
            4,
            "factor on the target's angle",
            low=1,
            high=5,
            whole=True,
            why="the rule beyond pi joins for whole numbers, and above 5 nothing trains",
        ),
        radius=Parameter("norm", "the embedding's length or 1", choices=("norm", "fixed")),
        scale=Parameter(1.0, "factor s of all logits", above=0.0, why="as in every softmax"),
        base=Parameter(1000.0, "lambda before the first step", low=0.0, why="it is a weight"),
        gamma=Parameter(0.12, "how fast lambda falls", low=0.0, why="lambda may not rise"),
        power=Parameter(1.0, "exponent of the fall", low=0.0, why="lambda may not rise"),
        lambda_min=Parameter(5.0, "where lambda stays", low=0.0, why="it is a weight"),
    )
    initial_state = declare(step=0.0)
    statistics = ("count",)
    plain_at_0 = False

    @property
    def unit_embedding(self):
        """Whether the embeddings' lengths are left out."""
        return self.radius == "fixed"

    @property
    def norm_gradient(self):
        """Whether the embeddings' lengths are learnt from."""
        return self.radius == "norm"

    @property
    def target_inputs(self):
        """What `target` takes."""
        return ("norm", "step") if self.radius == "norm" else ("step",)

    def update(self, F):
        """Count the step."""
        self.state["step"] = self.state["step"] + 1.0

    def target(self, F, cosine, strength, step, norm=None):
        """Return the margined cosine of the target, times the norm unless `radius` is fixed."""
        if self.radius == "norm":
            cosine = cosine / F.maximum(norm, 1e-12)
        value = 0.0
        for factor in MULTIPLE[self.margin]:
            value = value * cosine + factor
        # k is how many of the angles i pi / m the target has passed.
        fixed = F.BlockGrad(cosine)
        turns = F.zeros_like(fixed)
        for i in range(1, self.margin):
            turns = turns + (fixed <= math.cos(i * math.pi / self.margin))
        sign = 1.0 - 2.0 * (turns - 2.0 * F.floor(turns / 2.0))
        psi = sign * value - 2.0 * turns
        weight = F.maximum(self.base * (1.0 + self.gamma * step) ** -self.power, self.lambda_min)
        value = cosine + strength * (psi - cosine) / (1.0 + weight)
        return value * norm if self.radius == "norm" else value
