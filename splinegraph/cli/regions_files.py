"""The files that `splinegraph regions` writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

    from splinegraph.analyses.regions.figures.plane import Color
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.scale.session import Sharing
    from splinegraph.analyses.regions.summary import Summary
    from splinegraph.cli.domains import Domain
    from splinegraph.cli.progress import Stages

__all__ = ["drawn_graph", "prepare_folder", "summary_of", "write_files", "write_summary"]

GRAPHED = 50_000
"""Cells up to which the dual graph is made unless it is asked for: a graph file takes a second per 3000 of them."""

FACETED = 20_000
"""Cells up to which volumes and neighbors are worked out for histograms in three and more dimensions."""


def prepare_folder(folder: Path | None, json_to: str | None, *, resume: bool) -> None:
    """Learn that something cannot be written before the work, not after; nothing is made yet.

    Nor is a search that is not finished written over.
    """
    from splinegraph.analyses.regions.scale.session import PARTS
    from splinegraph.cli.output import prepare

    if folder is not None and not resume and (folder / PARTS).is_dir() and any((folder / PARTS).iterdir()):
        raise click.UsageError(f"{folder} holds a search that is not finished; give --resume {folder}, or remove it")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--out {folder} is a file; name a folder")
    prepare(folder, json_to)


def summary_of(
    partition: Partition, domain: Domain, sharing: Sharing, notes: Sequence[str], graph: bool | None
) -> Summary:
    """Work out the figures of what was found."""
    from splinegraph.analyses.regions.summary import summarize

    harvest = sharing.harvest
    interrupted = harvest is not None and harvest.interrupted
    if interrupted:
        notes = [*notes, "interrupted: these are the cells found until then"]
    partition = dataclasses.replace(partition, notes=(*notes, *partition.notes))
    coverage = None if harvest is None else harvest.coverage
    before = 0.0 if sharing.store is None else sharing.store.seconds
    return summarize(
        partition, domain=domain.text, interrupted=interrupted, seconds=partition.seconds + before,
        covered=None if coverage is None else coverage.to_dict(), merge=_graphed(partition, graph),
    )  # fmt: skip


def _graphed(partition: Partition, graph: bool | None) -> bool:
    return partition.count <= GRAPHED if graph is None else graph


def write_files(
    summary: Summary, domain: Domain, sharing: Sharing, folder: Path, *, graph: bool | None, figures: bool,
    progress: Stages,
) -> dict[str, Path]:  # fmt: skip
    """Write cells, dual graph and figures into a folder; returns the files by kind."""
    from splinegraph.core.files import make_folder

    partition = summary.partition
    make_folder(folder)
    progress("writing the cells")
    files = {"cells": partition.save(folder / "regions.parquet")}
    done = partition.complete or (sharing.harvest is not None and not sharing.harvest.left)
    if sharing.store is not None and done:  # a result with flaws too is final once nothing is left to do
        sharing.store.discard()
    if _graphed(partition, graph) and partition.count:
        progress("writing the dual graph")
        files |= _graphs(partition, folder)
    if figures and partition.count:
        for name, draw in _figures(partition, domain):
            progress(f"drawing {name}")
            files |= _drawn(draw(), folder, name)
    return files


def write_summary(
    summary: Summary, folder: Path | None, json_to: str | None, write: Callable[[str], None], *,
    request: Mapping[str, Any], written: Mapping[str, Path],
) -> list[Path]:  # fmt: skip
    """Write the summary where the user wants it; returns all files."""
    from splinegraph.cli.output import deliver_json
    from splinegraph.core.files import write_json

    told = summary.to_dict(request=request, files={kind: path.name for kind, path in written.items()})
    files = list(written.values())
    if folder is not None:
        files.insert(0, write_json(told, folder / "regions.json"))
    return [*files, *deliver_json(told, json_to, write)]


# the dual graph


def _graphs(partition: Partition, folder: Path) -> dict[str, Path]:
    from splinegraph.export.graphs import write_gexf, write_graphml, write_json

    dual = drawn_graph(partition)
    return {
        "dual graph, GEXF": write_gexf(dual, folder / "dual.gexf"),
        "dual graph, GraphML": write_graphml(dual, folder / "dual.graphml"),
        "dual graph, JSON": write_json(dual, folder / "dual.json"),
    }


def drawn_graph(partition: Partition) -> networkx.Graph[int]:
    """Return the dual graph with a place and a color for each cell: that of its point, that of its class.

    In more than two dimensions places are those along the two directions in which the points vary most.
    """
    import numpy as np

    from splinegraph.analyses.regions.figures.colors import class_colors

    dual = partition.dual_graph()
    places = np.zeros((partition.count, 2))
    t = partition.points
    if partition.dim > 2:
        centered = t - t.mean(axis=0)
        t = centered @ np.linalg.eigh(centered.T @ centered)[1][:, :-3:-1]
    places[:, : t.shape[1]] = t
    if partition.dim == 1:
        places[:, 1] = 0.0
    spread = float(np.ptp(places, axis=0).max(initial=0.0)) or 1.0
    places = 100 * partition.count**0.5 * places / spread  # about 100 apart, as in all our graph files
    single = len(partition.graph.outputs) == 1
    classes = partition.classes().tolist() if single else [0] * partition.count
    colors = class_colors(sorted(set(classes)))
    for i, (x, y) in enumerate(places.round(3).tolist()):
        dual.nodes[i].update(x=x, y=y, color=colors[classes[i]])
    return dual


# figures


def _figures(partition: Partition, domain: Domain) -> Iterator[tuple[str, Callable[[], Axes]]]:
    from splinegraph.analyses.regions.figures.plot import plot_histograms, plot_partition
    from splinegraph.analyses.regions.summary import MAPPED

    mapped = partition.count <= MAPPED

    def draw(color: Color = "class") -> Axes:
        return plot_partition(partition, color=color, data=domain.marked, labels=domain.names)

    if partition.dim == 1:
        yield "segment", draw
    elif partition.dim == 2:
        if len(partition.graph.outputs) == 1:
            yield "slice-class", draw
        if mapped:
            yield "slice-norm", lambda: draw("norm")
        if "linear_region" in partition._cache:
            yield "slice-region", lambda: draw("region")
    few = partition.count <= FACETED or (partition.dim <= 2 and mapped)
    if mapped:
        yield "histograms", lambda: plot_histograms(partition, facets=few, volumes=few).axes[0]


def _drawn(ax: Axes, folder: Path, name: str) -> dict[str, Path]:
    from splinegraph.export.graphs import save_figure

    return {f"{name}, {kind.upper()}": save_figure(ax, folder / f"{name}.{kind}") for kind in ("svg", "png")}
