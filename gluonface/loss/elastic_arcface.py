"""ElasticFace-Arc: ArcFace with a margin that is drawn for each sample."""

from ._angle import angular_target
from ._elastic import ElasticMargin, elastic_parameters
from ._margin import LOSSES, angle_parameter, declare, policy_parameter

__all__ = ["ElasticArcFace"]


@LOSSES.register("elastic_arcface", aliases=("elasticface_arc", "elasticface"))
class ElasticArcFace(ElasticMargin):
    r"""ArcFace with a margin drawn for each sample and step, of a normal distribution.

    .. math:: z_y = s \cos(\theta_y + m_i), \quad m_i \sim N(m, \sigma^2)

    The margins are not clipped. They are drawn by (seed, step, place in the batch of all
    processes), so any number of processes draws the same, and a resumed run goes on with them.
    ``plus`` is ElasticFace-Arc+.

    Notes
    -----
    In ``plus`` the authors' code selects the sorted margins by the order of the cosines instead of
    by their ranks. The margin of a sample then does not depend on its cosine: the margins are
    assigned at random. ``plus_as_published`` does the same.
    """

    title = "ElasticFace-Arc"
    authors = "Boutros, Damer, Kirchbuchner, Kuijper"
    paper = "ElasticFace: Elastic Margin Loss for Deep Face Recognition"
    year = 2022
    venue = "CVPRW 2022"
    arxiv = "2109.09416"
    formula_text = "z_y = s cos(theta_y + m_i), m_i ~ N(m, std^2)"
    parameters = declare(
        margin=angle_parameter(0.5, "The mean m of the formula."),
        **elastic_parameters("0.05, with plus 0.0175", "radians"),
        policy=policy_parameter(),
    )
    usual = declare(random=0.05, plus=0.0175, plus_as_published=0.0175)

    def target(self, F, cosine, strength, row_margin):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(F, cosine, 1.0, row_margin * strength, 0.0, self.policy)
