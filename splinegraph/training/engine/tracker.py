"""`RegionTracker`: how the regions of a network move while it is trained, in anybody's loop."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from splinegraph.analyses.batches import widest
from splinegraph.analyses.canvas import blank
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.regions.chords.chords import chords
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, ShapeError
from splinegraph.tracers.modes import evaluating
from splinegraph.tracers.tracing import trace
from splinegraph.training.engine.facts import SplineFacts, spline_facts
from splinegraph.training.engine.slices import SlicePicture, changed_units, save_animation, slice_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RegionTracker", "Snapshot"]

WIDE = 4096
"""Entries of an operator beyond which a slice has too many cells for the time between two steps."""


@dataclass(frozen=True)
class Snapshot:
    """The regions of a network at one step.

    Parameters
    ----------
    step : int
    churn : float or None
        Share of the (sample, unit) pairs of the probe whose code is another one than at the snapshot before.
    moved : float or None
        Share of the samples with at least one such unit: those that are in another cell.
    cells : int or None
        Activation cells of the slice, or those that its diagonal crosses.
    cells_of : {'slice', 'diagonal', ''}
    cells_kind : {'exact', 'lower', ''}
        'lower' where the limit ended the count.
    facts : SplineFacts
        Dead units, distinct patterns, Lipschitz bracket.
    """

    step: int
    churn: float | None
    moved: float | None
    cells: int | None
    cells_of: Literal["slice", "diagonal", ""]
    cells_kind: Literal["exact", "lower", ""]
    facts: SplineFacts

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "step": self.step, "churn": self.churn, "moved": self.moved, "cells": self.cells,
            "cells_of": self.cells_of, "cells_kind": self.cells_kind, "facts": self.facts.to_dict(),
        }  # fmt: skip


class RegionTracker:
    """Watches how the regions of a network move while its weights change; call it after steps of any loop.

    The model is traced once: the graph shares its parameters; again only where its tensors are replaced (a model with
    buffers that moves to another device). Codes, cells and bounds are those of the model in evaluation mode.

    Parameters
    ----------
    model : Module or SplineGraph
    probe : Tensor of shape (B, *in)
        A fixed batch.
    plane : Plane, optional
        A fixed slice. Default: the one through the first three samples, if these span one.
    every : int
        Calls between two snapshots.
    limit : int
        Most cells to count.
    budget : float or None
        Seconds for the Lipschitz bracket of a snapshot; None leaves it out.
    pictures : bool
        Whether each snapshot keeps a picture of the slice, for `animate`.
    resolution : int
        Points of a picture along each side.

    Attributes
    ----------
    history : list of Snapshot
    graph : SplineGraph

    Raises
    ------
    ShapeError
        If the probe is empty or does not fit.

    Notes
    -----
    A snapshot costs four forward passes over the probe, in float64, the slice's cells (a mesh; for operators of more
    than 4096 entries the cells that the slice's diagonal crosses) and `budget` seconds.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> tracker = sg.training.RegionTracker(net, torch.randn(20, 2), budget=None)
    >>> for step in range(3):
    ...     with torch.no_grad():
    ...         _ = net[0].bias.add_(0.5)
    ...     _ = tracker(step)
    >>> [snapshot.cells_kind for snapshot in tracker.history]
    ['exact', 'exact', 'exact']
    """

    def __init__(
        self,
        model: nn.Module | SplineGraph,
        probe: Tensor,
        *,
        plane: Plane | None = None,
        every: int = 1,
        limit: int = 20_000,
        budget: float | None = 0.5,
        pictures: bool = False,
        resolution: int = 64,
    ) -> None:
        if probe.dim() < 2 or not len(probe):
            raise ShapeError(f"a probe of shape {tuple(probe.shape)}", remedy="give a batch of at least one sample")
        if every < 1:
            raise ShapeError(f"every={every}", remedy="give at least 1")
        self._model = None if isinstance(model, SplineGraph) else model
        self._tensors = _tensors(self._model)
        self.graph = model if isinstance(model, SplineGraph) else traced(model, probe)
        self.probe = probe.detach()
        self.every, self.limit, self.budget = every, limit, budget
        self.plane = plane if plane is not None else _through(self.probe)
        self.pictures: list[SlicePicture] | None = [] if pictures and self.plane is not None else None
        self.resolution = resolution
        self.history: list[Snapshot] = []
        self._calls = 0
        self._before: ActivationPattern | None = None

    def __call__(self, step: int | None = None) -> Snapshot | None:
        """Take a snapshot if it is time for one.

        Parameters
        ----------
        step : int, optional
            For the record; by default the number of the call.
        """
        number, self._calls = self._calls, self._calls + 1
        return self.snapshot(number if step is None else step) if number % self.every == 0 else None

    def snapshot(self, step: int) -> Snapshot:
        """Take a snapshot of the present weights, and keep it."""
        self._follow()
        now = codes(self.graph, self.probe)
        churn = moved = None
        if self._before is not None and now.units:
            changed = changed_units(self._before, now)
            churn, moved = float(changed.mean()) / now.units, float((changed > 0).mean())
        cells, of, kind = self._cells()
        found = Snapshot(step, churn, moved, cells, of, kind, spline_facts(self.graph, self.probe, budget=self.budget))
        if self.pictures is not None and self.plane is not None:
            shown = "" if cells is None else f", {'at least ' if kind == 'lower' else ''}{cells} cells on the {of}"
            picture = slice_picture(
                self.graph, self.plane, resolution=self.resolution, step=step, title=f"step {step}{shown}"
            )
            self.pictures.append(picture)
        self._before = now
        self.history.append(found)
        return found

    def _follow(self) -> None:
        """Trace the model unless the graph has its present tensors, and keep the probe beside them."""
        present = _tensors(self._model)
        if self._model is not None and not all(map(operator.is_, present, self._tensors)):
            self.graph, self._tensors = traced(self._model, self.probe), present
        like = next(self.graph.parameters(), self.probe)
        self.probe = self.probe.to(like.device)

    def _cells(self) -> tuple[int | None, Literal["slice", "diagonal", ""], Literal["exact", "lower", ""]]:
        """Count cells on the slice, or along its diagonal where it has too many."""
        if self.plane is None or not self.graph.exact:
            return None, "", ""
        if widest(self.graph) <= WIDE:  # the mesh keeps all values at all corners
            found = enumerate_regions(self.graph, self.plane, limit=self.limit, verify=False)
            return found.count, "slice", "exact" if found.complete else "lower"
        chart = self.plane.chart
        ends = [chart.lift(side[None])[0] for side in (chart.lower, chart.upper)]
        line = chords(self.graph, *ends, limit=self.limit)
        return int(line.counts.sum()), "diagonal", "exact" if line.complete else "lower"

    def to_dict(self) -> dict[str, Any]:
        """Return all snapshots as plain values."""
        return {"probe": len(self.probe), "history": [snapshot.to_dict() for snapshot in self.history]}

    def plot(self) -> Figure:
        """Return a figure of churn, cells, dead units and the Lipschitz bracket over the steps."""
        figure = blank(9, 6)
        steps = [s.step for s in self.history]
        first, second, third, fourth = figure.subplots(2, 2).flat
        first.plot(steps, [_nan(s.churn) for s in self.history], label="of (sample, unit) pairs")
        first.plot(steps, [_nan(s.moved) for s in self.history], label="of samples")
        first.set_title("share with another code than before")
        second.plot(steps, [_nan(s.cells) for s in self.history])
        second.set_title(f"cells of the {next((s.cells_of for s in self.history if s.cells_of), 'slice')}")
        third.plot(steps, [_nan(s.facts.dead) for s in self.history], label="dead")
        third.plot(steps, [_nan(s.facts.always_on) for s in self.history], label="always on")
        third.set_title(f"units that do not switch on {len(self.probe)} samples")
        fourth.plot(steps, [_nan(s.facts.lipschitz_upper) for s in self.history], label="upper bound")
        fourth.plot(steps, [_nan(s.facts.lipschitz_lower) for s in self.history], label="lower bound")
        fourth.set_title("Lipschitz constant (l2)")
        for axes in (first, third, fourth):
            axes.legend(fontsize=8)
        for axes in (third, fourth):
            axes.set_xlabel("step")
        return figure

    def animate(self, path: str | os.PathLike[str], *, seconds: float = 0.3) -> Path:
        """Write the pictures of the slice as an animated GIF, or as PNG files in a folder; see `save_animation`."""
        return save_animation(self.pictures or [], path, seconds=seconds)


def _tensors(model: nn.Module | None) -> list[Tensor]:
    return [] if model is None else [*model.parameters(), *model.buffers()]


def traced(model: nn.Module, example: Tensor) -> SplineGraph:
    """Return the graph of a model in evaluation mode; the modes of its modules stay as they are."""
    with evaluating(model):
        return trace(model, example[:1])


def _through(probe: Tensor) -> Plane | None:
    """Return the slice through the first three samples; None if there are fewer or they lie on a line."""
    if len(probe) < 3 or probe[0].numel() < 2:
        return None
    try:
        return Plane.through(*probe[:3].double().cpu())
    except DomainError:
        return None


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
