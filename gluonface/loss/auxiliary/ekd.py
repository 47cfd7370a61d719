"""Evaluation-oriented distillation: pairs are to lie between the teacher's thresholds."""

import numpy as np

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._formulas import NEGATIVE, unit
from ._teacher import TeacherLoss, exact_gradient

__all__ = ["EvaluationDistillation"]

RATES = 10 ** np.arange(1, 7)  # one over the false match rates of the thresholds


@AUXILIARY.register("ekd")
class EvaluationDistillation(TeacherLoss):
    r"""Squared differences of where pairs lie among thresholds of six false match rates.

    .. math:: r(c) = \sum_{f} \sigma\left( \frac{c - a_f}{T} \right), \qquad
              L = w_+ \operatorname*{mean}_{\text{same}} (r_s(c) - r_t(c'))^2 +
              w_- \operatorname*{mean}_{\text{hardest}} (r_s(c) - r_t(c'))^2

    over the batch's pairs, c the cosine of a pair for the student and c' for the teacher. The
    thresholds a of the false match rates 1/10, 1/100, ... 1/1000000 are moving averages of the
    batches' own, of both networks, and have no gradient. The hardest pairs are those of two people
    with the largest cosines for the student.

    Notes
    -----
    Batches need several images per identity: ``data: {sampler: identity_balanced}``. Without a
    pair of one person, or of two, its mean is 0. The thresholds begin with those of the first
    batch; in the paper's code they begin at 0 and take hundreds of steps to arrive. A batch with
    fewer than f pairs of two people takes its largest cosine for the threshold of 1/f. The batch
    is that of all processes, and the thresholds are kept in checkpoints.
    """

    title = "Evaluation-oriented distillation"
    authors = "Huang, Wu, Xu, Ding"
    paper = "Evaluation-oriented Knowledge Distillation for Deep Face Recognition"
    year = 2022
    venue = "CVPR 2022"
    arxiv = "2206.02325"
    further_reference = "The values are those of TFace, which is its code."
    outputs_doc = "NDArray (1,) float32\n    Of the batch of all processes; see `TeacherLoss`."
    formula_text = "mean (r_s - r_t)^2, r the place of a pair among thresholds"
    uses_labels = True
    parameters = declare(
        weight=weight_parameter(1.0),
        positive=Parameter(0.02, "weight of the pairs of one person", low=0.0, why=NEGATIVE),
        negative=Parameter(0.01, "weight of the hardest pairs of two", low=0.0, why=NEGATIVE),
        hardest=Parameter(
            2000, "how many pairs of two people count", low=1, whole=True, why="there must be one"
        ),
        temperature=Parameter(
            0.01,
            "width of a threshold, as a cosine",
            more="The T of the formula.",
            above=0.0,
            why="the sigmoid would have no slope",
        ),
        momentum=Parameter(
            0.01,
            "share of a batch in the moving averages",
            above=0.0,
            high=1.0,
            why="the thresholds would never move",
        ),
    )

    def _create(self, rng):
        super()._create(rng)
        self._anchors = np.zeros((2, len(RATES)))  # of the student, of the teacher
        self._started = False
        self._before = []

    def compare(self, x, teacher, labels):
        """Return the loss (1,); see `TeacherLoss.compare`."""
        nd, ctx = _compat.mx.nd, x.context
        first, second = np.triu_indices(len(labels), 1)
        same = labels[first] == labels[second]
        places = first * len(labels) + second
        cosines = [
            nd.dot(each, each, transpose_b=True).reshape((-1,))
            for each in (unit(nd, x), unit(nd, teacher))
        ]
        ours, theirs = (each.asnumpy().astype(np.float64) for each in cosines)
        other = places[~same]
        anchors = self._moved(ours[other], theirs[other])
        count = min(self.hardest, len(other))
        if count:
            other = other[np.argpartition(-ours[other], count - 1)[:count]]
        total, by_cosine = 0.0, np.zeros(len(ours), np.float32)
        for weight, chosen in ((self.positive, places[same]), (self.negative, other)):
            if len(chosen):
                rank, slope = self._ranks(ours[chosen], anchors[0])
                apart = rank - self._ranks(theirs[chosen], anchors[1])[0]
                total += weight * np.mean(apart**2)
                by_cosine[chosen] = 2.0 * weight / len(chosen) * apart * slope
        return exact_gradient(cosines[0], nd.array([total], ctx=ctx), nd.array(by_cosine, ctx=ctx))

    def _ranks(self, cosines, anchors):
        """Return the places (n,) of cosines (n,) among the thresholds, and their derivatives.

        In float64: far from all thresholds both are near whole numbers, and the gradient is small.
        """
        tails = np.exp(-np.abs(cosines[:, None] - anchors) / self.temperature)
        share = np.where(cosines[:, None] >= anchors, 1.0, tails) / (1.0 + tails)
        slope = tails / (1.0 + tails) ** 2 / self.temperature
        return share.sum(axis=1), slope.sum(axis=1)

    def _moved(self, *negatives):
        """Return the thresholds (2, 6) with those of a batch; keep them when training."""
        count = len(negatives[0])
        if not count:
            return self._anchors
        at = np.where(count // RATES < count, count // RATES, 0)
        batch = [np.partition(-each, np.unique(at))[at] * -1.0 for each in negatives]
        anchors = batch = np.array(batch)
        if self._started:
            anchors = (1.0 - self.momentum) * self._anchors + self.momentum * batch
        if _compat.mx.autograd.is_training():
            self._before.append((self._anchors, self._started))
            self._anchors, self._started = anchors, True
        return anchors

    def begin(self, batches=1):
        """Begin a step of so many batches."""
        self._before = []

    def undo(self):
        """Restore the thresholds from before the last step."""
        if self._before:
            (self._anchors, self._started), self._before = self._before[0], []

    def state_dict(self):
        """Return the thresholds as NumPy arrays."""
        return {
            **super().state_dict(),
            "anchors": self._anchors.copy(),
            "started": np.float64(self._started),
        }

    def load_state_dict(self, state):
        """Set the thresholds to those of a `state_dict`; call `initialize` before."""
        super().load_state_dict(state)
        self._stored(state, "anchors", self._anchors.shape)  # checks it
        self._started = bool(self._stored(state, "started", ()))
        self._anchors = np.array(state["anchors"], np.float64)
