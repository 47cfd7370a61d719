"""BCE: UniFace's loss with a learned threshold for each class."""

from ._margin import LOSSES, declare
from .uniface import UniFace

__all__ = ["BCE"]


@LOSSES.register("bce")
class BCE(UniFace):
    r"""Binary cross entropy: every class has a learned threshold of its own.

    .. math:: L = \mathrm{sp}(-z_y) + l \sum_{j \ne y} \mathrm{sp}(z_j), \quad
              z_y = s (\cos\theta_y - m) - b_y, \quad z_j = s \cos\theta_j - b_j

    with :math:`\mathrm{sp}(z) = \log(1 + e^z)`. It is the loss that UniFace is compared with, and
    differs from it in the biases, which begin at log(10 C).
    """

    title = "BCE"
    authors = "Li, Jia, Zhou, Shen, Duan"
    paper = "UniTSFace: Unified Threshold Integrated Sample-to-Sample Loss for Face Recognition"
    year = 2023
    venue = "NeurIPS 2023"
    arxiv = "2311.02523"
    formula_text = "sp(b_y - s (cos(theta_y) - m)) + l sum sp(s cos(theta_j) - b_j)"
    parameters = declare(**UniFace.parameters)
    has_shared_bias = False
    has_bias = True
