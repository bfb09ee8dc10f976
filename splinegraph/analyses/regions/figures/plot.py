"""`Partition.plot`: the figure that fits the dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from torch import Tensor

from splinegraph.analyses.canvas import blank, inline
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.figures.colors import INK
from splinegraph.analyses.regions.figures.histograms import draw_histograms
from splinegraph.analyses.regions.figures.line import draw_line
from splinegraph.analyses.regions.figures.plane import Color, draw_plane
from splinegraph.errors import DomainError, SplineGraphError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["plot_histograms", "plot_partition", "thumbnail"]

SMALL = 2_000
"""Cells up to which a partition is drawn wherever it is shown."""

ON_PLANE = 1e-6
"""Data are drawn if they lie in the plane up to this, relative to the domain's size."""


def plot_partition(
    partition: Partition,
    ax: Axes | None = None,
    *,
    color: Color = "class",
    data: Tensor | Sequence[Tensor] | None = None,
    labels: Sequence[Any] | None = None,
) -> Axes:
    """Draw a partition with one or two free coordinates.

    Two: its cells, colored by class, by the norm of the local affine map or by maximal linear region, with the
    exact decision boundary. One: the outputs along the segment, and where the cells end.

    Parameters
    ----------
    partition : Partition
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own, which pyplot does not know of: ``ax.figure`` is it.
    color : {'class', 'norm', 'region'}
        Class: where the largest output changes, or the sign of a single one, cells are cut, exactly. Norm: what
        the spectral norm of A is, in the chart's coordinates. Region: neighboring linear regions differ.
    data : Tensor of shape (N, *in) or one per input, optional
        Those that lie in the domain are drawn.
    labels : sequence, optional
        What to write beside them, where they are few.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DomainError
        If the domain has other than one or two free coordinates; see `plot_histograms`.
    SplineGraphError
        If `color` is none of the three.
    """
    if color not in get_args(Color):
        raise SplineGraphError(f"color={color!r} is none", remedy="give " + ", ".join(map(repr, get_args(Color))))
    if partition.dim not in (1, 2):
        raise DomainError(
            f"a partition with {partition.dim} free coordinates is no picture",
            remedy="draw a Plane or a Segment through the domain, or histograms",
        )
    ax = _axes(partition.dim) if ax is None else ax
    points, kept = _on(partition, data)
    texts = None if labels is None else [str(labels[i]) for i in kept]
    if partition.dim == 2:
        draw_plane(ax, partition, color, points, texts)
    else:
        draw_line(ax, partition, points, texts)
    ax.set_title(headline(partition, color), fontsize=10, color=INK, parse_math=False)
    return ax


def plot_histograms(partition: Partition, *, facets: bool = True, volumes: bool = True) -> Figure:
    """Draw histograms over the cells of a partition of any dimension.

    Parameters
    ----------
    partition : Partition
    facets, volumes : bool
        Whether to count neighbors, and to work out volumes: in many dimensions both cost more than the enumeration.

    Returns
    -------
    matplotlib.figure.Figure
        Radii, volumes, neighbors, norms of the local maps, and how many cells each class has.
    """
    panels = 2 + facets + volumes + (len(partition.graph.outputs) == 1)
    figure = blank(2.5 * panels, 2.6)
    draw_histograms(figure, partition, facets=facets, volumes=volumes)
    figure.suptitle(headline(partition, ""), fontsize=10, color=INK, parse_math=False)
    return figure


def headline(partition: Partition, color: str) -> str:
    """Return a title: the network and how many cells."""
    found = f"{partition.count:,} activation cells"
    if color == "region":
        found += f", {partition.maximal_count:,} maximal linear regions"
    return f"{partition.graph.name}: {found}{'' if partition.complete else ' so far'}"


def _axes(dim: int) -> Axes:
    return blank(*((6.4, 5.4) if dim == 2 else (7.0, 3.6))).add_subplot()


def _on(partition: Partition, data: Tensor | Sequence[Tensor] | None) -> tuple[Floats | None, list[int]]:
    """Return the coordinates of the data that lie in the domain, and which these are."""
    if data is None:
        return None, []
    import torch

    chart = partition.chart
    xs = tuple(x.detach().cpu().double() for x in ((data,) if isinstance(data, Tensor) else tuple(data)))
    t = chart.coordinates(xs)
    size = float((chart.upper - chart.lower).abs().max())
    back = chart.flatten(chart.lift(t))
    off = (back - chart.flatten(xs)).abs().amax(1) if back.shape[1] else torch.zeros(len(t))
    near = chart.contains(t, slack=ON_PLANE * size) & (off <= ON_PLANE * max(size, 1.0))
    kept = torch.nonzero(near)[:, 0].tolist()
    return np.asarray(t[kept].numpy()), kept


def thumbnail(partition: Partition) -> str:
    """Return a small figure of a partition of a plane as a data URI; '' where there is none, or it takes long."""
    if partition.dim != 2 or not 0 < partition.count <= SMALL:
        return ""
    return inline(lambda: plot_partition(partition, blank(4.6, 3.6).add_subplot()))
