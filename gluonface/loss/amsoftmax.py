"""AM-Softmax: CosFace's formula with its own paper's values."""

from ._margin import LOSSES, cosine_parameter, declare, scale_parameter
from .cosface import CosFace

__all__ = ["AMSoftmax"]


@LOSSES.register("amsoftmax")
class AMSoftmax(CosFace):
    r"""Additive margin softmax, `CosFace` with a smaller scale.

    .. math:: z_y = s (\cos\theta_y - m), \quad z_j = s \cos\theta_j

    Notes
    -----
    cavaface's class of this name does not normalise the embedding: there it is this loss only for
    a network whose output is normalised already.
    """

    title = "AM-Softmax"
    authors = "Wang, Cheng, Liu, Liu"
    paper = "Additive Margin Softmax for Face Verification"
    year = 2018
    further_reference = ""
    arxiv = "1801.05599"
    parameters = declare(margin=cosine_parameter(), scale=scale_parameter(30.0))
