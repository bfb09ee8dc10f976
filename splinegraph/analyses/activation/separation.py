"""At which layer the classes separate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.activation.result import ActivationGraph

__all__ = ["LayerTest", "SeparationDepth", "separation_depth"]


@dataclass(frozen=True)
class LayerTest:
    """Whether cells of one layer know the classes.

    Parameters
    ----------
    name : str
    purity, baseline : float
        Of the labels, and the mean of permuted ones.
    p_value : float
        (1 + number of permutations of at least this purity) / (1 + number of permutations).
    agreeing : float
        Share of inputs whose label is that of most others in their node.
    """

    name: str
    purity: float
    baseline: float
    p_value: float
    agreeing: float


@dataclass(frozen=True, eq=False)
class SeparationDepth:
    """The layers at which classes separate.

    Parameters
    ----------
    informative : int or None
        First layer whose purity is larger than that of permuted labels, at `level` over all layers together
        (Bonferroni); None if there is none.
    deciding : int or None
        First layer in which at least `share` of the inputs have the label of most others in their node.
    tests : tuple of LayerTest
    level, share : float
    """

    informative: int | None
    deciding: int | None
    tests: tuple[LayerTest, ...]
    level: float
    share: float

    def __repr__(self) -> str:
        def told(layer: int | None) -> str:
            return "none" if layer is None else f"{layer} ({self.tests[layer].name})"

        return (
            f"<SeparationDepth of {len(self.tests)} layers: cells know of the classes from {told(self.informative)}, "
            f"decide {100 * self.share:.3g} % of the inputs from {told(self.deciding)}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        from splinegraph.analyses.report.values import jsonable

        found: dict[str, Any] = jsonable(self)
        return found


def separation_depth(ag: ActivationGraph, level: float = 0.05, share: float = 0.9) -> SeparationDepth:
    """Return the layers from which on cells know of the classes, and decide them.

    Parameters
    ----------
    ag : ActivationGraph
    level : float
        Probability of naming any layer although labels are independent of the inputs.
    share : float

    Raises
    ------
    DataError
        If there are no labels, or all are of one class, or nodes have volumes, or labels chose the units of a
        coarsening: permuted labels would have chosen others, so that the test would be too bold.

    Notes
    -----
    The test is exact for exchangeable labels, with as many permutations as let a p-value fall below
    ``level / layers``: O(permutations x inputs) for each layer. Where nearly all inputs are alone the purity of
    permuted labels is as large, and nothing is found: such layers may separate classes all the same.
    """
    if not 0 < level < 1 or not 0 < share <= 1:
        raise DataError(f"level is {level} and share {share}", remedy="give numbers between 0 and 1")
    if len(ag.classes) == 1:
        raise DataError("all labels are of one class", why="there is nothing to separate", remedy="give more classes")
    if ag.coarse is not None and ag.coarse.labelled:
        raise DataError(
            f"the labels chose the units of the coarsening {ag.coarse.name!r}",
            why="permuted labels would choose others, so that no p-value holds",
            remedy="choose 'top-K' or 'clusters-K', or look at .summary",
        )
    rounds = math.ceil(len(ag.layers) / level)
    tests = []
    for place, layer in enumerate(ag.summary):
        found = ag.permuted(place, rounds)
        assert layer.purity is not None
        assert layer.agreeing is not None
        reached = int((found >= layer.purity - 1e-12).sum())  # sums of one over N: ties are to the last bit or two
        tests.append(
            LayerTest(layer.name, layer.purity, float(found.mean()), (1 + reached) / (1 + rounds), layer.agreeing)
        )
    limit = level / len(tests)
    informative = next((i for i, test in enumerate(tests) if test.p_value <= limit), None)
    deciding = next((i for i, test in enumerate(tests) if test.agreeing >= share), None)
    return SeparationDepth(informative, deciding, tuple(tests), level, share)
