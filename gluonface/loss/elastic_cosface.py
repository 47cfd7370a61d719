"""ElasticFace-Cos: CosFace with a margin that is drawn for each sample."""

from ._elastic import ElasticMargin, elastic_parameters
from ._margin import LOSSES, cosine_parameter, declare

__all__ = ["ElasticCosFace"]


@LOSSES.register("elastic_cosface", aliases=("elasticface_cos",))
class ElasticCosFace(ElasticMargin):
    r"""CosFace with a margin drawn for each sample and step, of a normal distribution.

    .. math:: z_y = s (\cos\theta_y - m_i), \quad m_i \sim N(m, \sigma^2)

    The margins are drawn as those of :ref:`elastic_arcface <loss-elastic_arcface>`, where the
    note on ``plus_as_published`` is. ``plus`` is ElasticFace-Cos+.
    """

    title = "ElasticFace-Cos"
    authors = "Boutros, Damer, Kirchbuchner, Kuijper"
    paper = "ElasticFace: Elastic Margin Loss for Deep Face Recognition"
    year = 2022
    venue = "CVPRW 2022"
    arxiv = "2109.09416"
    formula_text = "z_y = s (cos(theta_y) - m_i), m_i ~ N(m, std^2)"
    parameters = declare(
        margin=cosine_parameter(0.35, "The mean m of the formula."),
        **elastic_parameters(
            "0.05, with plus 0.02", "", "With plus the code has 0.02 and the paper 0.025."
        ),
    )
    usual = declare(random=0.05, plus=0.02, plus_as_published=0.02)

    def target(self, F, cosine, strength, row_margin):
        """Return the margined cosine of the target; see `Margin.target`."""
        return cosine - row_margin * strength
