"""Sub-centre ArcFace: several centres for each class, so that noise gets one of its own."""

from ._margin import LOSSES, Parameter, declare
from .arcface import ArcFace

__all__ = ["SubcenterArcFace"]


@LOSSES.register("subcenter_arcface", aliases=("sub-center-arcface", "subcenter"))
class SubcenterArcFace(ArcFace):
    r"""ArcFace over the nearest of K centres of each class.

    .. math:: \cos\theta_j = \max_k \cos(W_{jk}, x), \quad
              z_y = s \cos(\theta_y + m), \quad z_j = s \cos\theta_j

    Mislabelled and hard images are near other centres than the clean images. The centre of the
    clean images is the dominant one. Images with a large angle to it can be left out.
    """

    title = "Sub-center ArcFace"
    authors = "Deng, Guo, Liu, Gong, Zafeiriou"
    paper = "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces"
    year = 2020
    venue = "ECCV 2020"
    arxiv = ""
    formula_text = "z_y = s cos(theta_y + m), cos(theta_j) = max_k cos(theta_jk)"
    parameters = declare(
        **ArcFace.parameters,
        subcenters=Parameter(
            3,
            "centres of each class",
            more="K of the formula. A head takes it when it is made.",
            low=1,
            high=10,
            whole=True,
            why="each costs the memory of a whole classifier",
        ),
    )
