"""The slice of a report as a picture: cells, what the network is on each, and where its largest output changes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.figures.faces import Faces, Pieces, class_pieces
from splinegraph.analyses.regions.figures.plane import axis_names
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.report.slices import Slice
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import one_line

__all__ = ["PicturedPoint", "SlicePicture", "slice_picture"]

EXACT = 1e-6
"""Numbers are rounded to this fraction of the picture's sides, or of an output's size on it."""

OUTPUTS, LARGEST = 10, 3
"""Outputs up to which all maps of a cell are told; of more the largest few in it."""

ENTRIES = 2**22
"""Entries of maps that are worked out at a time."""

SPELLED = 64
"""Units up to which a cell's code is spelled out."""

LISTED, PIECES = 12, 4
"""Layers, and pieces of a unit, up to which the units on each piece are counted in a cell's code."""


@dataclass(frozen=True)
class PicturedPoint:
    """A sample in the slice.

    Parameters
    ----------
    sample : int
    label : int or None
    at : (float, float)
        In the coordinates of the slice; of a plane made smaller, it may lie outside of the picture.
    """

    sample: int
    label: int | None
    at: tuple[float, float]


@dataclass(frozen=True)
class SlicePicture:
    """Cells of a slice, in its coordinates (s, t).

    Parameters
    ----------
    kind : {'plane', 'box'}
    axes : (str, str)
        What s and t are.
    extent : ((float, float), (float, float))
        The sides, of s and of t.
    vertices : sequence of (float, float)
    cells : sequence of sequence of int
        Vertices of each activation cell, counterclockwise.
    regions : sequence of int
        The maximal linear region of each.
    norms : sequence of float or None
        l2 norm of the affine map of each from (s, t) to all outputs.
    codes : sequence of str
        The code of each: all pieces, layer by layer, or a digest, and per layer the numbers of units on each piece.
    layers : sequence of str
        The switching operators, in the order in which the codes have them.
    outputs : int
        Entries of all outputs.
    maps : sequence of sequence of (int, float, float, float)
        On each: number of an output (in flattened order), and its slope along s, along t, and its value at (0, 0): of
        all outputs, or of the largest ones in the cell.
    pieces : sequence of mapping
        Parts of cells where one output is largest: `corners`, `output`, `cell`. Of a single output 0 where it is
        positive and -1 where it is not.
    boundary : sequence of ((float, float), (float, float))
        Segments between pieces of different outputs.
    points : sequence of PicturedPoint
    """

    kind: str
    axes: Sequence[str]
    extent: Sequence[Sequence[float]]
    vertices: Sequence[Any]
    cells: Sequence[Any]
    regions: Sequence[int]
    norms: Sequence[float | None]
    codes: Sequence[str]
    layers: Sequence[str]
    outputs: int
    maps: Sequence[Any]
    pieces: Sequence[Mapping[str, Any]]
    boundary: Sequence[Any]
    points: Sequence[PicturedPoint]


class _Scale(NamedTuple):
    """What the numbers of a picture are rounded to: steps of coordinates."""

    size: Floats
    step: Floats


def slice_picture(
    found: Slice, names: Mapping[str, str], points: Mapping[int, tuple[float, float]], labels: Mapping[int, int]
) -> SlicePicture | None:
    """Return the picture of a slice; None if it has no partition.

    Parameters
    ----------
    found : Slice
    names : mapping from str to str
        How nodes are shown.
    points : mapping from int to (float, float)
        Samples, and where they are.
    labels : mapping from int to int
        Their labels, where known.
    """
    partition = found.partition
    if partition is None:
        return None
    faces, lower, upper = Faces.of(partition), partition.chart.lower.numpy(), partition.chart.upper.numpy()
    scale = _Scale(np.maximum(np.abs(lower), np.abs(upper)), EXACT * (upper - lower))
    pieces = class_pieces(partition, faces)
    return SlicePicture(
        kind=found.kind,
        axes=_axes(found, partition),
        extent=list(zip(lower.tolist(), upper.tolist(), strict=True)),
        vertices=_rounded(faces.vertices, scale.step).tolist(),
        cells=[row.tolist() for row in np.split(faces.corners, faces.offsets[1:-1])],
        regions=partition.linear_region.tolist(),
        norms=[float(f"{norm:.6g}") if math.isfinite(norm) else None for norm in partition.map_norms(2).tolist()],
        codes=_codes(partition.codes),
        layers=[names[layer.name] for layer in partition.layers],
        outputs=_width(partition.graph),
        maps=_maps(partition, scale),
        pieces=_pieces(partition, pieces, scale),
        boundary=_rounded(pieces.boundary, scale.step).tolist(),
        points=[
            PicturedPoint(i, labels.get(i), tuple(_rounded(np.array(at), scale.step).tolist()))
            for i, at in points.items()
        ],
    )


def _width(graph: SplineGraph) -> int:
    return sum(math.prod(shape) for shape in graph.output_shapes)


def _axes(found: Slice, partition: Partition) -> tuple[str, str]:
    if found.kind == "plane":
        a, b, c = found.samples
        return f"from sample {a} towards {b} (input units)", f"across, towards sample {c} (input units)"
    first, second = map(one_line, axis_names(partition))
    return first, second


def _rounded(values: Floats, step: Floats | float) -> Floats:
    """Return values rounded to as many decimals as a step needs, one for all or one per entry of the last axis."""
    steps = np.broadcast_to(np.asarray(step, dtype=np.float64), values.shape)
    sound = np.isfinite(steps) & (steps > 0)
    decimals = np.where(sound, -np.floor(np.log10(np.where(sound, steps, 1.0))), 300.0).astype(np.int64)
    found = values.copy()
    for places in np.unique(decimals).tolist():
        if abs(places) < 200:
            rows = decimals == places
            found[rows] = np.round(values[rows], places)
    return np.asarray(found + 0.0)  # no negative zero


def _maps(partition: Partition, scale: _Scale) -> list[list[list[Any]]]:
    """Return the maps of each cell to all outputs, or the largest at its interior point."""
    width = _width(partition.graph)
    shown, told = (width if width <= OUTPUTS else LARGEST), []
    step = max(1, ENTRIES // (3 * width))
    values = partition.outputs()
    sizes = np.abs(values).max(axis=0, initial=0.0)
    sizes = np.where(sizes > 0, sizes, sizes.max(initial=0.0))
    for start in range(0, len(partition), step):
        maps = partition.affine_maps(slice(start, start + step) if step < len(partition) else slice(None))
        rows = np.arange(len(maps.b))[:, None]
        if width <= OUTPUTS:
            which = np.broadcast_to(np.arange(width), (len(rows), width))
        else:
            which = np.argsort(-values[start : start + step], axis=1, kind="stable")[:, :shown]
        size = EXACT * sizes[which]
        steep = EXACT * np.abs(maps.A).max(axis=(0, 2))[which][:, :, None]  # told even where they hardly matter
        fine = np.minimum(size[:, :, None] / np.maximum(scale.size, np.finfo(float).tiny), steep)
        slopes = _rounded(maps.A[rows, which], fine)
        columns = [which, slopes[:, :, 0], slopes[:, :, 1], _rounded(maps.b[rows, which], size)]
        told += [list(map(list, zip(*cell, strict=True))) for cell in zip(*(c.tolist() for c in columns), strict=True)]
    return told


def _pieces(partition: Partition, pieces: Pieces, scale: _Scale) -> list[dict[str, Any]]:
    single = _width(partition.graph) == 1
    ends = np.cumsum([0, *map(len, pieces.corners)]).tolist()
    corners = _rounded(np.concatenate([np.zeros((0, 2)), *pieces.corners]), scale.step).tolist()
    return [
        {"corners": corners[ends[i] : ends[i + 1]], "output": output - single, "cell": cell}
        for i, (output, cell) in enumerate(zip(pieces.classes.tolist(), pieces.cells.tolist(), strict=True))
    ]


# codes


def _codes(patterns: ActivationPattern) -> list[str]:
    """Return a text for each code: spelled out if there are few units, else a digest with counts."""
    if patterns.units <= SPELLED:
        parts = [_spelled(patterns.unpack(layer.name).reshape(len(patterns), -1)) for layer in patterns.layers]
    else:
        digests = [hashlib.blake2b(row.tobytes(), digest_size=5).hexdigest() for row in patterns.packed]
        listed = patterns.layers[:LISTED]
        parts = [digests, *(_counted(patterns, layer) for layer in listed)]
        parts += [["…"] * len(patterns)] * (len(listed) < len(patterns.layers))
    return [" ".join(text) for text in zip(*parts, strict=True)] if parts else [""] * len(patterns)


def _spelled(codes: torch.Tensor) -> list[str]:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return ["".join(digits[v] if 0 <= v < len(digits) else f"({v})" for v in row) for row in codes.tolist()]


def _counted(patterns: ActivationPattern, layer: Layer) -> list[str]:
    """Return how many units of a layer are on each piece, as 12/20; a dash where there are many pieces."""
    if not 0 < layer.alphabet <= PIECES:
        return ["–"] * len(patterns)
    codes = patterns.unpack(layer.name).reshape(len(patterns), -1)
    counts = torch.stack([(codes == piece).sum(1) for piece in range(layer.alphabet)], dim=1)
    return ["/".join(map(str, row)) for row in counts.tolist()]
