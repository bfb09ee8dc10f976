"""`activation_graph`: one pass over inputs, or over the cells of a partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from splinegraph.analyses.activation.coarsening import SAMPLE, Coarsening, coarsening, layer_keys, needs_sample
from splinegraph.analyses.activation.histograms import Histogram
from splinegraph.analyses.activation.result import ActivationGraph, ActivationLayer
from splinegraph.analyses.activation.tables import Floats, Ints
from splinegraph.analyses.activation.tally import Tally
from splinegraph.analyses.batches import ENTRIES, part_size, widest
from splinegraph.analyses.codes import Layer, codes
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.data.reading import read_data
from splinegraph.data.source import Batch, DataSource
from splinegraph.errors import DataError, ShapeError, UnsupportedOperatorError, one_line, require_seed

__all__ = ["activation_graph", "assembled"]

PART = 256
"""Most samples in one pass: larger ones leave the caches."""


def activation_graph(
    graph: SplineGraph,
    X: Any,
    y: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    coarsen: str | None = None,
    limit: int | None = None,
    batch_size: int | None = None,
    dtype: torch.dtype | None = torch.float64,
    device: torch.device | str | None = None,
    seed: int = 0,
) -> ActivationGraph:
    """Return the activation graph of inputs: which cell of each layer they visit, and from which to which they go.

    Parameters
    ----------
    graph : SplineGraph
    X : Tensor of shape (B, *in), anything that `read_data` takes, or Partition
        Of a partition the graph of its domain: all nodes and edges that inputs there visit, but for those of no
        volume, weighted by volume. Other data are read piece by piece.
    y : Tensor, array or sequence of int of shape (B,), or str, optional
        Labels, or their name in a file; default: those that the data come with. Of a partition one per cell, such
        as ``partition.classes()``.
    class_names : sequence of str, optional
        Name of class 0, 1, ...; default: those that the data come with, else the numbers.
    coarsen : str, optional
        Merge cells of wide layers: 'channel-any', 'channel-majority', 'position-any', 'position-majority', 'top-16',
        'informative-16' or 'clusters-16', see `coarsening.coarsening`. A node is no cell then.
    limit : int, optional
        Take the first samples only.
    batch_size : int, optional
        Samples in one pass. Default: 256, fewer where an operator is wide.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic to decide codes in; None for that of the data, where codes are those that, say, the float32
        computation decides.
    device : torch.device or str, optional
        Where to compute; default: where the data are. Codes are packed there, counted on the CPU.
    seed : int
        Of permuted labels and of clusters.

    Returns
    -------
    ActivationGraph

    Raises
    ------
    UnsupportedOperatorError
        If no operator of the graph switches.
    ShapeError
        If the data do not fit the graph.
    DataError
        If they cannot be read, or labels do not fit them.

    Notes
    -----
    One forward pass and one hash of each code. Memory grows with the number of different cells and edges, not with
    that of inputs. Codes of up to 128 bits are compared as they are, others by a hash of 128 bits: any two of n
    different codes fall together with probability below n^2 / 2^129, see `keys.row_keys`. A tie goes to the
    left of a breakpoint and to the first entry of a window.

    Cells are numbered by the first input in them, so that the result depends neither on the batch size nor on the
    hash.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 137-139, Proposition 4 and
       Definition 17. Nodes are (layer, cell) pairs: the cells of two layers as sets may be equal.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> ag = sg.activation_graph(graph, torch.tensor([[1.0, -1.0], [2.0, -3.0], [0.5, 1.0]]), [0, 0, 1])
    >>> ag.counts.tolist(), ag.first.tolist(), ag.class_counts(0)
    ([2, 1], [0, 2], {'0': 2})
    """
    require_graph(graph)
    seed = require_seed(seed)
    if isinstance(X, Partition):
        return _of_partition(graph, X, y, class_names, coarsen, seed)
    source = read_data(X, y, limit=limit)
    source = source.cast(*_dtypes(source, dtype))
    size = part_size("batch_size", batch_size, min(PART, ENTRIES // widest(graph)))
    coarse = None if coarsen is None else _fitted(graph, source, coarsen, dtype, device, seed)
    tally = Tally()
    layers: tuple[Layer, ...] = ()
    for batch in _moved(source.batches(size), device):
        found = codes(graph, *batch.inputs, dtype=dtype, batch_size=size)
        layers = _require_layers(graph, found.layers)
        labels = None if batch.labels is None else batch.labels.cpu().numpy().astype(np.int64)
        tally = tally.added(layer_keys(found, coarse), labels)
    names = source.classes if class_names is None else tuple(class_names)
    settings = {"limit": limit, "coarsen": coarsen, "device": str(device or "as the data")}
    provenance = Provenance.of(graph, dtype=dtype or source.dtypes[0], seed=seed, **settings)
    return assembled(graph, layers, tally, names, coarse, provenance)


def _dtypes(source: DataSource, dtype: torch.dtype | None) -> list[torch.dtype]:
    """Return the type of each input: what is asked for, else its own, and float32 in place of integers."""
    return [dtype or (own if own.is_floating_point else torch.float32) for own in source.dtypes]


def _moved(batches: Iterator[Batch], device: torch.device | str | None) -> Iterator[Batch]:
    for batch in batches:
        yield batch if device is None else batch._replace(inputs=tuple(x.to(device) for x in batch.inputs))


def _require_layers(graph: SplineGraph, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    if layers:
        return layers
    smooth = [node for node in graph.obstacles if node.op.family == "smooth"]
    raise UnsupportedOperatorError(
        f"no operator of {graph.name} switches", why="it has no cells",
        remedy=f"replace smooth operators ({one_line(smooth[0].name)}, ...) by splines: sg.spline" if smooth else
        "an affine network is one cell",
    )  # fmt: skip


def _fitted(
    graph: SplineGraph, source: DataSource, name: str, dtype: torch.dtype | None, device: torch.device | str | None,
    seed: int,
) -> Coarsening:  # fmt: skip
    """Choose units or clusters on samples spread over the data, where their number is known."""
    count = SAMPLE if needs_sample(name) else 1
    if source.length is not None and source.length > count:
        batch = source.rows(np.unique(np.linspace(0, source.length - 1, count).astype(np.int64)).tolist())
    else:
        batch = next(iter(source.batches(count)))
    (batch,) = _moved(iter([batch]), device)
    found = codes(graph, *batch.inputs, dtype=dtype)
    _require_layers(graph, found.layers)
    return coarsening(name, found, None if batch.labels is None else batch.labels.cpu(), seed=seed)


def _of_partition(
    graph: SplineGraph, partition: Partition, y: Any, class_names: Sequence[str] | None, coarsen: str | None, seed: int
) -> ActivationGraph:
    if partition.graph is not graph:
        raise DataError("the partition is of another graph", remedy="give partition.graph")
    if isinstance(y, str):
        raise DataError("a partition comes from no file, so labels have no name", remedy="give one integer per cell")
    labels = None if y is None else np.asarray(y)
    if labels is not None and (labels.shape != (len(partition),) or labels.dtype.kind not in "bui"):
        why = f"shape {labels.shape} and dtype {labels.dtype} for {len(partition)} cells"
        raise DataError("the labels do not fit the partition", why=why, remedy="give one integer per cell")
    if not len(partition):
        raise ShapeError("the partition has no cells")
    found = partition.codes
    _require_layers(graph, found.layers)
    coarse = None
    if coarsen is not None:
        places = np.unique(np.linspace(0, len(found) - 1, SAMPLE).astype(np.int64))
        picked = None if labels is None else torch.from_numpy(labels[places].astype(np.int64))
        coarse = coarsening(coarsen, found[places], picked, seed=seed)
    volumes = partition.volumes()
    integers = None if labels is None else labels.astype(np.int64)
    tally = Tally().added(layer_keys(found, coarse), integers, volumes.values)
    provenance = Provenance.of(graph, dtype=torch.float64, seed=seed, method=partition.method, coarsen=coarsen)
    notes = [*partition.notes]
    if not partition.complete:
        notes.append("the partition is incomplete: nodes and edges are missing, and volumes are too small")
    if volumes.kind != "exact":
        notes.append("volumes are estimates from random points")
    names = None if class_names is None else tuple(class_names)
    return assembled(graph, found.layers, tally, names, coarse, provenance, notes)


def assembled(
    graph: SplineGraph, layers: Sequence[Layer], tally: Tally, names: Sequence[str] | None, coarse: Coarsening | None,
    provenance: Provenance, notes: Sequence[str] = (),
) -> ActivationGraph:  # fmt: skip
    """Return the result of counting.

    Parameters
    ----------
    graph : SplineGraph
    layers : sequence of Layer
    tally : Tally
    names : sequence of str or None
        Of the classes.
    coarse : Coarsening or None
    provenance : Provenance
    notes : sequence of str
    """
    tally = tally.settled()
    cells = tally.cells
    start = np.cumsum([0, *map(len, cells)])
    order = np.argsort(tally.classes)
    ends = [table.ends for table in tally.steps]
    edges = [np.stack([a + start[i], b + start[i + 1]], axis=1) for i, (a, b) in enumerate(ends)]
    weighted = cells[0].mass is not None
    classes = tuple(tally.classes[order].tolist())
    return ActivationGraph(
        graph=graph,
        layers=tuple(_described(graph, layer) for layer in layers),
        start=start,
        keys=np.concatenate([table.keys for table in cells]),
        counts=np.concatenate([table.counts for table in cells]),
        first=np.concatenate([table.first for table in cells]),
        edges=np.concatenate([np.zeros((0, 2), dtype=np.int64), *edges]),
        edge_counts=np.concatenate([np.zeros(0, dtype=np.int64), *(table.counts for table in tally.steps)]),
        classes=classes,
        class_names=_class_names(classes, names),
        histogram=_histogram(tally, start, order) if tally.members else None,
        samples=tally.samples,
        volumes=np.concatenate([_mass(t.mass) for t in cells]) if weighted else None,
        edge_volumes=np.concatenate([np.zeros(0), *(_mass(t.mass) for t in tally.steps)]) if weighted else None,
        coarse=coarse,
        notes=(*notes, *_notes(graph, classes, coarse)),
        provenance=provenance,
    )


def _mass(found: Floats | None) -> Floats:
    assert found is not None
    return found


def _described(graph: SplineGraph, layer: Layer) -> ActivationLayer:
    node = graph[layer.name]
    step = "" if node.step is None else f" t={node.step}"
    return ActivationLayer(layer.name, one_line(node.operator.label), one_line(node.module) + step, layer.units)


def _class_names(classes: tuple[int, ...], names: Sequence[str] | None) -> tuple[str, ...]:
    """Return a name for each class that occurs, on one line; equal ones get their numbers."""
    known = names or ()
    found = [one_line(str(known[label])) if 0 <= label < len(known) else str(label) for label in classes]
    numbered = [f"{name} ({label})" for name, label in zip(found, classes, strict=True)]
    mixed = [name if found.count(name) == 1 else other for name, other in zip(found, numbered, strict=True)]
    return tuple(mixed if len(set(mixed)) == len(mixed) else numbered)  # a name may look like a numbered one


def _histogram(tally: Tally, start: Ints, order: Ints) -> Histogram:
    place = np.argsort(order)  # of each class in ascending order
    node = np.concatenate([table.ends[0] + start[i] for i, table in enumerate(tally.members)])
    label = np.concatenate([place[table.ends[1]] for table in tally.members])
    mass = np.concatenate([table.counts if table.mass is None else table.mass for table in tally.members])
    rows = np.lexsort((label, node))
    return Histogram(node[rows], label[rows], mass[rows])


def _notes(graph: SplineGraph, classes: tuple[int, ...], coarse: Coarsening | None) -> list[str]:
    found = [] if coarse is None else [coarse.note]
    if len(classes) == 1:
        found.append("all labels are of one class: purity is 1 whatever the network does")
    inexact = [one_line(node.name) for node in graph.obstacles]
    if inexact:
        more = f" and {len(inexact) - 3} more" if len(inexact) > 3 else ""
        found.append(
            f"{', '.join(inexact[:3])}{more} is not piecewise affine and has no cells: inputs that share all nodes need"
            " not share an affine map"
        )
    return found
