"""The section on encoding: which inputs share code and amplitude with the chosen samples, and reconstructions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from splinegraph.analyses.encoding.inverse import Inverse, invert
from splinegraph.analyses.encoding.layers import reconstruct_layers
from splinegraph.analyses.encoding.preimage import preimage
from splinegraph.analyses.report.galleries import EncodingGallery, encoding_gallery
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Chosen, Study
from splinegraph.analyses.report.values import LISTED, Section, plural
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import one_line

__all__ = ["EncodedSample", "EncodingSection", "ReconstructedLayer", "encoding_section"]

ENTRIES = 2**22
"""Entries of A[x] at one sample up to which it is decomposed."""

SAMPLES = 5
"""Most samples that are looked at."""

WORK = 2**26
"""Numbers in the values of all nodes, times outputs and samples, that are worked out: seconds."""

UNITS = 2_000_000
"""Numbers in the values of all nodes, up to which layers are reconstructed."""


@dataclass(frozen=True)
class EncodedSample:
    """One chosen sample.

    Parameters
    ----------
    sample : int
    rank, most_rank : int
        Of A[x]: proved to rounding, and possible.
    free : int or None
        Dimensions of the input that A leaves free, as far as rounding tells; None for a tangent.
    unique : bool or None
        Whether it is the only input with its code and amplitude; None where not known, or for a tangent.
    adjoint, least_squares : float
        |x - u|^2 / |x|^2 of u = A^T f(x) and of least squares.
    cosine : float
        Of x and A^T f(x).
    """

    sample: int
    rank: int
    most_rank: int
    free: int | None
    unique: bool | None
    adjoint: float
    least_squares: float
    cosine: float


@dataclass(frozen=True)
class ReconstructedLayer:
    """A layer z that all paths run through; medians over the chosen samples.

    Parameters
    ----------
    name, module : str
    size : int
    above : float
        |(df/dz)^T f(x) - z|^2 / |z|^2.
    below : float
        |(dz/dx)^T z - x|^2 / |x|^2.
    """

    name: str
    module: str
    size: int
    above: float
    below: float


@dataclass(frozen=True, eq=False, repr=False)
class EncodingSection(Section):
    """What the network keeps of the chosen samples.

    Parameters
    ----------
    entries : int or None
        Of one input; None if nothing was worked out.
    rows : tuple of EncodedSample
    layers : tuple of ReconstructedLayer
        The input first; none in large networks.
    why : str
        Why nothing was worked out; '' if it was.
    gallery : EncodingGallery or None
        None if nothing was worked out.
    """

    entries: int | None
    rows: tuple[EncodedSample, ...]
    layers: tuple[ReconstructedLayer, ...]
    why: str
    gallery: EncodingGallery | None = None

    @property
    def headline(self) -> str:
        if self.entries is None or not self.rows:
            return self.why
        free = [row.free for row in self.rows if row.free is not None]
        errors = sorted(row.least_squares for row in self.rows)
        left = f"; least squares leaves {100 * errors[len(errors) // 2]:.0f} % of |x|²"
        if not free:
            return f"tangents: codes do not tell the map{left}"
        ends = str(min(free)) if min(free) == max(free) else f"{min(free)} to {max(free)}"
        alone = sum(row.unique is True for row in self.rows)
        only = f"; {alone} of {plural(len(self.rows), 'sample')} determined by code and amplitude" if alone else ""
        return f"code and amplitude leave {ends} of {plural(self.entries, 'dimension')} free{only}{left}"


@section("encoding", needs=(Chosen,), order=145)
def encoding_section(study: Study) -> EncodingSection:
    """Look at preimages and reconstructions of the chosen samples."""
    graph, chosen = study.graph, study[Chosen]
    why = _refusal(graph)
    if not why and not chosen.at:
        why = "not worked out: no samples are chosen"
    if why:
        return EncodingSection(None, (), (), why)
    x, at = chosen.inputs[0][: min(SAMPLES, WORK // _passed(graph))], chosen.at
    adjoint = invert(graph, x)
    finite = adjoint.reconstruction.reshape(len(x), -1).isfinite().all(1)  # so is A[x] then, and f(x)
    if not bool(finite.all()):
        x, at = x[finite], tuple(index for index, kept in zip(at, finite.tolist(), strict=False) if kept)
        if not at:
            return EncodingSection(None, (), (), "not worked out: no chosen sample has a finite output and map")
        adjoint = invert(graph, x)
    solved = invert(graph, x, kind="least_squares", method="svd")
    rows, gallery = _rows(graph, at, adjoint, solved), encoding_gallery(at, x, adjoint, solved)
    return EncodingSection(x[0].numel(), rows, _layers(graph, x), "", gallery)


def _refusal(graph: SplineGraph) -> str:
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return (
            f"not worked out: {plural(len(graph.inputs), 'input')} and {plural(len(graph.outputs), 'output')}, not one"
        )
    size = math.prod(graph.output_shapes[0]) * math.prod(graph.input_shapes[0])
    large = size > ENTRIES or _passed(graph) > WORK
    return f"not worked out: A[x] has {size:,} entries; see sg.invert, sg.preimage" if large else ""


def _passed(graph: SplineGraph) -> int:
    """Return how many numbers the rows of A[x] are made of, all nodes on the way counted."""
    return math.prod(graph.output_shapes[0]) * sum(math.prod(node.shape) for node in graph.nodes)


def _rows(graph: SplineGraph, at: tuple[int, ...], adjoint: Inverse, solved: Inverse) -> tuple[EncodedSample, ...]:
    x, found = adjoint.map.inputs[0], []
    for i, sample in enumerate(at[: len(x)]):
        rank, most, free, unique = int(solved.rank[i]), min(solved.values[0].numel(), x[0].numel()), None, None
        if graph.exact:
            known = preimage(graph, x[i])
            rank, most, unique = int(known.rank.lower), int(known.rank.upper), known.unique
            free = None if known.numerical_rank is None else x[0].numel() - known.numerical_rank
        errors = float(adjoint.relative[i]), float(solved.relative[i]), float(adjoint.cosine[i])
        found.append(EncodedSample(sample, rank, most, free, unique, *errors))
    return tuple(found)


def _layers(graph: SplineGraph, x: Tensor) -> tuple[ReconstructedLayer, ...]:
    if sum(math.prod(node.shape) for node in graph.nodes) > UNITS:
        return ()
    names = shown_names(graph)
    return tuple(
        ReconstructedLayer(
            names[layer.name], one_line(layer.module), layer.size, float(layer.relative_above.median()),
            float(layer.relative_below.median()),
        )
        for layer in reconstruct_layers(graph, x).layers[:LISTED]
    )  # fmt: skip
