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

    Training starts from the softmax and approaches the margin: lambda falls with the count of
    training steps as max(lambda_min, base (1 + gamma step)^-power). The count is part of the state
    that checkpoints keep.

    Notes
    -----
    In gluon-face lambda stays what it was when the block was hybridized, evaluation passes count
    as steps, and the count is not saved. cavaface fails with its own default of m.
    """

    title = "SphereFace / A-Softmax"
    authors = "Liu et al."
    paper = "SphereFace: Deep Hypersphere Embedding for Face Recognition"
    year = 2017
    arxiv = "1704.08063"
    family = "target-only"
    formula_text = "z_y = s |x| (lambda cos(theta_y) + psi(theta_y)) / (1 + lambda)"
    parameters = declare(
        margin=Parameter(
            4,
            "factor on the target's angle",
            more="m of the formula.",
            low=1,
            high=5,
            whole=True,
            why="the rule beyond pi joins for whole numbers, and above 5 nothing trains",
        ),
        radius=Parameter(
            "norm",
            "the embedding's length or 1",
            more="``norm``: the embedding's length is a factor of the logits, as in the paper. "
            "``fixed``: the factor is 1, and `scale` should be 30 or 64.",
            choices=("norm", "fixed"),
        ),
        scale=Parameter(1.0, "factor s of all logits", above=0.0, why="as in every softmax"),
        base=Parameter(
            1000.0,
            "lambda before the first step",
            more="The values of the annealing are those of the authors' code. ``base=0`` and "
            "``lambda_min=0`` give the full margin from the start.",
            low=0.0,
            why="it is a weight",
        ),
        gamma=Parameter(0.12, "how fast lambda falls", low=0.0, why="lambda may not rise"),
        power=Parameter(1.0, "exponent of the fall", low=0.0, why="lambda may not rise"),
        lambda_min=Parameter(5.0, "where lambda stays", low=0.0, why="it is a weight"),
    )
    initial_state = declare(step=0.0)
    statistics = ("count",)
    plain_at_0 = False

    @property
    def unit_embedding(self):
        """Whether embeddings are normalised."""
        return self.radius == "fixed"

    @property
    def norm_gradient(self):
        """Whether `target` is differentiable by the norm."""
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
