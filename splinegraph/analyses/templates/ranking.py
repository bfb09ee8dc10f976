"""`template_ranking`: networks in the order of a score, and how far an order agrees with what training gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from splinegraph.analyses.templates.scores import SCORES, TemplateScores
from splinegraph.core.notebook import card
from splinegraph.data.near import near
from splinegraph.errors import DataError, SplineGraphError

__all__ = ["RankAgreement", "RankedNetwork", "TemplateRanking", "rank_agreement", "template_ranking"]

DRAWS = 2000
"""Resamples of the networks from which an interval is read."""

FLAT = 1e-12
"""Spread of tau that is rounding."""


@dataclass(frozen=True)
class RankedNetwork:
    """A network and its score over several draws of its weights.

    Parameters
    ----------
    name : str
    values : tuple of float
        One per draw where it is defined.
    missing : int
        Draws where it is not.
    """

    name: str
    values: tuple[float, ...]
    missing: int

    @property
    def mean(self) -> float | None:
        """Mean over the draws; None if it is defined for none."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the draws, of n - 1 degrees of freedom; None for fewer than 2."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "name": self.name, "mean": self.mean, "deviation": self.deviation, "values": list(self.values),
            "missing": self.missing,
        }  # fmt: skip


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's tau-b between a score and an outcome.

    Parameters
    ----------
    tau : float or None
        None where one of the two is constant, or there are fewer than 3 networks.
    low, high : float or None
        Percentile interval over resamples of the networks; None where all resamples have the same tau, as in a perfect
        order: they tell no spread then.
    p_value : float or None
        Of no association; exact where there are no ties and few networks.
    networks : int
    level : float
    """

    tau: float | None
    low: float | None
    high: float | None
    p_value: float | None
    networks: int
    level: float

    def __repr__(self) -> str:
        if self.tau is None:
            return f"<RankAgreement: {self.networks} networks, not defined>"
        ends = "no interval" if self.low is None else f"{self.low:.2f} to {self.high:.2f}"
        return f"<RankAgreement: {self.networks} networks, tau {self.tau:.2f} ({ends})>"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"kind": "estimate", **vars(self)}


@dataclass(frozen=True)
class TemplateRanking:
    """Networks in the order of a score, best first; made by `splinegraph.template_ranking`.

    Parameters
    ----------
    by : str
        The score.
    networks : tuple of RankedNetwork
        Those without a score come last.
    scores : dict from name to tuple of TemplateScores
        All scores of all draws.
    """

    by: str
    networks: tuple[RankedNetwork, ...]
    scores: dict[str, tuple[TemplateScores, ...]]

    def __repr__(self) -> str:
        best = self.networks[0]
        told = "no score" if best.mean is None else f"{best.mean:.3g}"
        return f"<TemplateRanking by {self.by}: {len(self.networks)} networks, first {best.name} ({told})>"

    def _repr_html_(self) -> str:
        return card(self)

    def agreement(self, outcomes: Mapping[str, float], *, level: float = 0.95, seed: int = 0) -> RankAgreement:
        """Return Kendall's tau between the mean score and outcomes, such as accuracies after training.

        Raises
        ------
        DataError
            If a network with a score has no outcome.
        """
        known = {network.name: network.mean for network in self.networks if network.mean is not None}
        absent = [name for name in known if name not in outcomes]
        if absent:
            raise DataError(f"no outcome of {absent[0]!r}", remedy="give one per network")
        return rank_agreement(list(known.values()), [outcomes[name] for name in known], level=level, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "kind": "estimate",
            "by": self.by,
            "meaning": SCORES[self.by].meaning,
            "networks": [network.to_dict() for network in self.networks],
            "scores": {name: [found.to_dict() for found in all_of] for name, all_of in self.scores.items()},
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw each network's score with its draws; return the axes."""
        from splinegraph.analyses.templates.figures import plot_ranking

        return plot_ranking(self, ax)


def template_ranking(scores: Mapping[str, Sequence[TemplateScores]], by: str = "scale") -> TemplateRanking:
    """Rank networks by a score of their templates.

    Parameters
    ----------
    scores : mapping from name to sequence of TemplateScores
        Of each network one per draw of its weights, all on the same inputs.
    by : str
        One of `SCORES`; larger comes first.

    Raises
    ------
    SplineGraphError
        If there is no such score.
    DataError
        If there is nothing to rank, or networks saw different numbers of inputs.

    Notes
    -----
    A rank is a guess at what training would give: docs/templates.md has how good a guess.

    Examples
    --------
    >>> scores = {name: [TemplateScores({"rank": r}, 9, "exact") for r in rs]
    ...           for name, rs in {"a": (0.1, 0.3), "b": (0.4, 0.4)}.items()}
    >>> [network.name for network in template_ranking(scores, by="rank").networks]
    ['b', 'a']
    """
    if by not in SCORES:
        close = near(by, tuple(SCORES))
        remedy = f"did you mean {' or '.join(close)}?" if close else f"give one of {', '.join(SCORES)}"
        raise SplineGraphError(f"there is no score {by!r}", remedy=remedy)
    if not scores or not all(scores.values()):
        raise DataError("no networks to rank", remedy="give at least one, with the scores of one draw or more")
    samples = {found.samples for all_of in scores.values() for found in all_of}
    if len(samples) > 1:
        raise DataError(f"scores on {min(samples)} and on {max(samples)} inputs", remedy="take the same inputs for all")
    rows = [_ranked(name, all_of, by) for name, all_of in scores.items()]
    rows.sort(key=lambda row: -math.inf if row.mean is None else row.mean, reverse=True)
    return TemplateRanking(by, tuple(rows), {name: tuple(all_of) for name, all_of in scores.items()})


def _ranked(name: str, all_of: Sequence[TemplateScores], by: str) -> RankedNetwork:
    values = [found.values.get(by) for found in all_of]
    known = tuple(value for value in values if value is not None)
    return RankedNetwork(name, known, len(values) - len(known))


def rank_agreement(
    scores: Sequence[float], outcomes: Sequence[float], *, level: float = 0.95, seed: int = 0
) -> RankAgreement:
    """Return Kendall's tau-b of two lists, with a bootstrap interval over their entries.

    Raises
    ------
    DataError
        If the lists differ in length, or an entry is no number.
    SplineGraphError
        If the level is no share between 0 and 1.

    Notes
    -----
    An entry that a resample holds twice is a tie in both lists, which tau-b leaves out.

    Examples
    --------
    >>> round(rank_agreement([1.0, 2.0, 3.0, 4.0], [10.0, 30.0, 20.0, 40.0]).tau, 3)
    0.667
    """
    from scipy.stats import kendalltau

    x, y = np.asarray(scores, float), np.asarray(outcomes, float)
    if x.shape != y.shape or x.ndim != 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(f"{x.size} scores and {y.size} outcomes", remedy="give two lists of as many finite numbers")
    if not 0 < level < 1:
        raise SplineGraphError(f"level is {level}", remedy="give a share between 0 and 1, such as 0.95")
    if len(x) < 3:
        return RankAgreement(None, None, None, None, len(x), level)
    found = kendalltau(x, y)
    if not math.isfinite(found.statistic):
        return RankAgreement(None, None, None, None, len(x), level)
    of_x, of_y = (np.sign(v[:, None] - v[None, :]) for v in (x, y))
    times = np.random.default_rng(seed).multinomial(len(x), np.full(len(x), 1 / len(x)), DRAWS).astype(float)
    # how often a resample holds each pair is a product of counts
    both, one, other = (((times @ pairs) * times).sum(1) for pairs in (of_x * of_y, of_x**2, of_y**2))
    with np.errstate(invalid="ignore"):
        taus = both / np.sqrt(one * other)
    taus = taus[np.isfinite(taus)]
    low = high = None
    if np.ptp(taus) > FLAT:
        low, high = map(float, np.quantile(taus, [(1 - level) / 2, (1 + level) / 2]))
    return RankAgreement(float(found.statistic), low, high, float(found.pvalue), len(x), level)
