"""LVFace's loss with two anchors: the class centre, and a moving mean of the class's embeddings."""

from ..errors import InputError
from ._margin import LOSSES, Margin, Parameter, cosine_parameter, declare, scale_parameter

__all__ = ["LVFace"]


@LOSSES.register("lvface")
class LVFace(Margin):
    r"""CosFace with a second anchor: a bank that holds a mean of each class's embeddings.

    .. math:: L = \log\left(1 + e^A + e^B\right), \quad
              A = \log \sum_{j \ne y} e^{s c_j} - s (c_y - m_1), \quad
              B = \log \sum_{j \ne y} e^{s c^e_j} - s (c^e_y - m_2)

    c are the cosines to the class centres and :math:`c^e` those to the bank. With ``form``
    "shared" the sum in B is that of A. The bank has a row e for each class, no gradient and no
    optimizer. Before the loss of a training step each class of the batch updates its row by the
    mean direction :math:`\hat x` of its embeddings:

    .. math:: e \leftarrow a\, e + (1 - a)\, \hat x, \quad a = \mathrm{sigmoid}(\cos(e, \hat x))

    A class that is seen first gets :math:`e = \hat x`. Until then it is not in the sum of B. A
    sample whose class has no row has no B, and its loss is that of CosFace.

    Notes
    -----
    The formulas are from a reader's summary of the paper and from an independent training code; the
    authors published inference only. The two differ in the sum of B: the summary has ``bank``, the
    code has ``shared``. The code also subtracts the own class from the sum over all classes, which
    loses all digits in float32 if the own logit is much larger; here it is left out of the sum.

    The paper trains in three stages: CosFace with sampled classes, this loss with sampled classes,
    and this loss with all classes and ``bank`` "frozen". See :ref:`lvface-stages`.
    """

    title = "LVFace"
    authors = "You, Li, Sun, Wei, Guo, Feng, Ran"
    paper = "LVFace: Progressive Cluster Optimization for Large Vision Models in Face Recognition"
    year = 2025
    venue = "ICCV 2025, pp. 11840-11849"
    arxiv = "2501.13420"
    family = "two anchors"
    formula_text = "log(1 + e^A + e^B), A and B: log sum e^(s cos(theta_j)) - s (cos(theta_y) - m)"
    parameters = declare(
        margin=cosine_parameter(0.4, "The margin m_1, of the class centres."),
        bank_margin=Parameter(
            0.4,
            "subtracted from the cosine to the own class's row in the bank",
            more="The margin m_2.",
            low=0.0,
            high=2.0,
            why="a negative margin rewards errors, and cosines are at most 2 apart",
        ),
        scale=scale_parameter(),
        form=Parameter(
            "bank",
            "what the sum in B is over",
            more="``bank``: the rows of the bank. ``shared``: the class centres, as in A, which "
            "needs no more products.",
            choices=("bank", "shared"),
        ),
        bank=Parameter(
            "moving",
            "whether classes with a row update it",
            more="``frozen``: only classes without a row get one, as in the third stage.",
            choices=("moving", "frozen"),
        ),
    )
    plain_at_0 = False
    uses_bank = True

    @property
    def target_inputs(self):
        """What `target` takes: the cosine to the bank, for the form ``shared``."""
        return ("bank_cosine",) if self.form == "shared" else ()

    def refuse_smoothing(self, label_smoothing):
        """Raise InputError unless the label smoothing is 0."""
        if label_smoothing:
            raise InputError(
                f"label_smoothing={label_smoothing:g} is not allowed with lvface: its loss is not "
                "the cross entropy of one softmax over the classes; use 0"
            )

    def target(self, F, cosine, strength, bank_cosine=None):
        r"""Return the margined cosine of the target; see `Margin.target`.

        With one sum for both anchors the loss is a cross entropy whose target is the smooth minimum
        :math:`-\log(e^{-z} + e^{-z^e})` of both anchors' logits.
        """
        margined = cosine - self.margin * strength
        if bank_cosine is None:
            return margined
        scale = self.scale
        other = bank_cosine - self.bank_margin * strength
        difference = F.BlockGrad(other - margined) * scale
        smooth = F.log1p(F.exp(-F.abs(difference))) / scale
        value = F.BlockGrad(F.minimum(margined, other)) - smooth
        # The slopes by hand: those of minimum and abs are wrong where both logits are equal.
        share = F.sigmoid(difference)
        for each, slope in ((margined, share), (other, 1.0 - share)):
            value = value + slope * (each - F.BlockGrad(each))
        return value
