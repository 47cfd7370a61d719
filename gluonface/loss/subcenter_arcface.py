"""Sub-centre ArcFace: several centres for each class, so that noise gets one of its own."""

from ._margin import LOSSES, Parameter, declare
from .arcface import ArcFace

__all__ = ["SubcenterArcFace"]


@LOSSES.register("subcenter_arcface", aliases=("sub-center-arcface", "subcenter"))
class SubcenterArcFace(ArcFace):
    r"""ArcFace over the nearest of K centres of each class.

    .. math:: \cos\theta_j = \max_k \cos(W_{jk}, x), \quad
              z_y = s \cos(\theta_y + m), \quad z_j = s \cos\theta_j

    Mislabelled and hard images gather at other centres than the clean ones, whose centre
    dominates; the rest can be found by their angle to it and left out.

    Parameters
    ----------
    margin : float, default 0.5
        The margin m in radians, in [0, pi].
    scale : float, default 64.0
        The factor s > 0.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi, as for ArcFace.
    subcenters : int, default 3
        K, 1 to 10. A head takes it when it is made.

    References
    ----------
    Deng, Guo, Liu, Gong, Zafeiriou: Sub-center ArcFace: Boosting Face Recognition by Large-Scale
    Noisy Web Faces, ECCV 2020.
    """

    name = "subcenter_arcface"
    title = "Sub-center ArcFace"
    paper = "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy Web Faces"
    year = 2020
    arxiv = ""
    formula_text = "z_y = s cos(theta_y + m), cos(theta_j) = max_k cos(theta_jk)"
    parameters = declare(
        **ArcFace.parameters,
        subcenters=Parameter(
            3,
            "centres of each class",
            low=1,
            high=10,
            whole=True,
            why="each costs the memory of a whole classifier",
        ),
    )
