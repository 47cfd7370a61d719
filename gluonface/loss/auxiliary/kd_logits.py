"""Distillation of class probabilities, through the sharded and sampled head."""

from ._base import AUXILIARY, Auxiliary, Parameter, declare, weight_parameter

__all__ = ["LogitsDistillation"]


@AUXILIARY.register("kd_logits")
class LogitsDistillation(Auxiliary):
    r"""Divergence of the student's class probabilities from the teacher's, both softened.

    .. math:: L_i = \tau^2 \sum_j p^t_{ij} \left( \log p^t_{ij} - \log p^s_{ij} \right), \qquad
              p_{ij} = \operatorname*{softmax}_j \frac{z_{ij}}{\tau}

    with :math:`z = s \cos \theta_j` without a margin. The teacher has class centres of its own, in
    the order of the student's classes, which stay as they are.

    Notes
    -----
    `formula` takes the logits of both, (N, C) each. In training `gluonface.head.PartialFC.distill`
    computes the same on sharded classes. With sampled classes both softmaxes are over the classes
    of the step: another loss than that over all of them, not an estimate of it. A head whose scores
    are no cosines cannot do it.

    Logits are the cosines times the head's scale, so 64 and a temperature of 4 mean a scale of 16.
    """

    title = "Logit distillation"
    authors = "Hinton, Vinyals, Dean"
    paper = "Distilling the Knowledge in a Neural Network"
    year = 2015
    arxiv = "1503.02531"
    family = "distillation"
    kind = "teacher logits"
    uses_labels = False
    inputs_doc = "student : NDArray (B, C)\nteacher : NDArray (B, C)"
    outputs_doc = "NDArray (B,) float32"
    formula_text = "tau^2 KL(softmax(z_t / tau) | softmax(z_s / tau))"
    parameters = declare(
        weight=weight_parameter(1.0),
        temperature=Parameter(
            4.0,
            "what the logits are divided by",
            more="The tau of the formula. The default is TFace's.",
            above=0.0,
            why="logits are divided by it",
        ),
    )

    def formula(self, F, student, teacher):
        """Return the losses (N,) of the logits (N, C) of both."""
        log_s, log_t = (
            F.log_softmax(each / self.temperature, axis=1) for each in (student, teacher)
        )
        return self.temperature**2 * F.sum(F.exp(log_t) * (log_t - log_s), axis=1)
