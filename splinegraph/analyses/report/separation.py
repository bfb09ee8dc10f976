"""The section on separation: how classes lie in the distances between codes, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from splinegraph.analyses.report.kept import Kept
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import Section, plural
from splinegraph.analyses.separation.separation import separation

__all__ = ["LayerSeparation", "SeparationSection", "separation_section"]


@dataclass(frozen=True)
class LayerSeparation:
    """One switching operator; see `ClassStatistics`.

    Parameters
    ----------
    node : str
    mean : float or None
        Mean distance of two samples' codes, as a share of the largest possible; None for one sample.
    within, between, order, purity, silhouette : float or None
        None without labels, or without pairs of both kinds.
    """

    node: str
    mean: float | None
    within: float | None
    between: float | None
    order: float | None
    purity: float | None
    silhouette: float | None


@dataclass(frozen=True, eq=False, repr=False)
class SeparationSection(Section):
    """Distances between the codes of the first samples.

    Parameters
    ----------
    samples, classes : int
        How many of them.
    chance : float or None
        Expected purity of a neighbor drawn at random.
    layers : tuple of LayerSeparation
        In topological order.
    why : str
        Why classes are not told apart; '' if they are.
    """

    samples: int
    classes: int
    chance: float | None
    layers: tuple[LayerSeparation, ...]
    why: str

    @property
    def headline(self) -> str:
        known = [(layer.purity, layer.node) for layer in self.layers if layer.purity is not None]
        if not known:
            return f"not applicable: {self.why}"
        best, node = max(known, key=lambda found: found[0])
        last, chance = known[-1][0], self.chance or 0.0
        return (
            f"the nearest code is of the same class for {100 * best:.0f} % of {plural(self.samples, 'sample')} "
            f"in {node}, {100 * last:.0f} % in the last layer ({100 * chance:.0f} % by chance)"
        )


@section("separation", needs=(Kept,), order=155)
def separation_section(study: Study) -> SeparationSection:
    """Compare the codes of the first samples, at most 128."""
    kept, names = study[Kept], shown_names(study.graph)
    found = separation(study.graph, kept.inputs, kept.labels, dtype=study.dtype)
    layers = []
    for layer in found:
        known = layer.classes
        mean = None if layer.mean is None else float(layer.mean)
        if known is None:
            layers.append(LayerSeparation(names[layer.name], mean, None, None, None, None, None))
            continue
        layers.append(
            LayerSeparation(
                names[layer.name], mean, known.within, known.between, known.order, known.purity, known.silhouette
            )
        )
    classes = 0 if found.labels is None else len(set(found.labels.tolist()))
    statistics = found[0].classes if len(found) else None
    why = ""
    if not layers:
        why = "no operator switches"
    elif found.labels is None:
        why = "the samples have no labels"
    elif statistics is None or statistics.order is None:
        why = f"{plural(len(kept), 'sample')} of {classes} class{'es' * (classes != 1)}: no pairs to compare"
    return SeparationSection(len(kept), classes, None if statistics is None else statistics.chance, tuple(layers), why)
