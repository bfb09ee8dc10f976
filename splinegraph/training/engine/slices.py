"""Pictures of a network on a plane through input space: classes, and how many units switch between pixels."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.packing import differing
from splinegraph.analyses.regions.figures.colors import class_colors, rgb
from splinegraph.core.domains.plane import Plane
from splinegraph.core.files import make_folder, writing
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SlicePicture", "changed_units", "save_animation", "slice_picture"]

DARKEST = 0.55
"""How much of its color a pixel loses where most units switch."""


def changed_units(before: ActivationPattern, after: ActivationPattern) -> NDArray[np.int64]:
    """Return on how many units each sample's code differs between two patterns of the same samples, shape (B,)."""
    found = np.zeros(len(before), dtype=np.int64)
    for layer in before.layers:
        mine, theirs = (p.packed[:, layer.start : layer.stop] for p in (before, after))
        found += differing(mine, theirs, layer.units, layer.bits)
    return found


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """A raster of a plane.

    Parameters
    ----------
    step : int
    classes : array of int64, shape (rows, columns)
        The largest output at each point; of a single output, whether it is positive. Rows go up along v.
    switches : array of uint8, shape (rows, columns)
        How many units switch between a point and those to the right and above, on a scale where 255
        is the 95 % quantile.
    title : str
    """

    step: int
    classes: NDArray[np.int64]
    switches: NDArray[np.uint8]
    title: str = ""

    def colors(self, count: int) -> NDArray[np.float64]:
        """Return red, green and blue in [0, 1], shape (rows, columns, 3), for so many classes."""
        table = np.array([rgb(color) for color in class_colors(range(count)).values()])
        shade = 1 - DARKEST * self.switches[..., None] / 255
        return np.asarray(table[self.classes] * shade)


def slice_picture(graph: SplineGraph, plane: Plane, *, resolution: int, step: int, title: str = "") -> SlicePicture:
    """Return the picture of a graph on a plane: one forward pass for the codes and one for the outputs."""
    lower, upper = plane.chart.lower, plane.chart.upper
    middles = (torch.arange(resolution, dtype=torch.float64) + 0.5) / resolution
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    t = lower + torch.stack([columns, rows], -1).reshape(-1, 2) * (upper - lower)
    points = plane.chart.lift(t)[0].to(graph.dtype)
    device = next((p.device for p in graph.parameters()), points.device)
    found = codes(graph, points.to(device), dtype=None)
    with torch.no_grad():
        value = torch.cat([graph(part) for part in points.to(device).split(1024)]).flatten(1).cpu()
    classes = value.argmax(1) if value.shape[1] > 1 else (value[:, 0] > 0).long()
    at = np.arange(resolution**2).reshape(resolution, resolution)
    counts = np.zeros((resolution, resolution))
    for here, there in ((at[:, :-1], at[:, 1:]), (at[:-1], at[1:])):
        switched = changed_units(found[here.reshape(-1)], found[there.reshape(-1)]).reshape(here.shape)
        counts[: here.shape[0], : here.shape[1]] += switched
    most = max(float(np.quantile(counts, 0.95)), 1.0)
    switches = np.clip(255 * counts / most, 0, 255).astype(np.uint8)
    return SlicePicture(step, classes.numpy().reshape(at.shape), switches, title)


def save_animation(pictures: Sequence[SlicePicture], path: str | os.PathLike[str], *, seconds: float = 0.3) -> Path:
    """Write pictures as an animated GIF, or, where the path has no suffix, as numbered PNG files in a folder.

    Raises
    ------
    DataError
        If there are none, the suffix is another one, or a file cannot be written.
    """
    path = Path(path)
    if not pictures:
        raise DataError("no pictures to animate", remedy="track some steps with pictures=True first")
    if path.suffix.lower() not in (".gif", ""):
        remedy = "let the name end in .gif, or give a folder for PNG files"
        raise DataError(f"cannot animate {path.name!r}", remedy=remedy)
    count = max(int(p.classes.max()) for p in pictures) + 1
    frames = [_png(_draw(picture, count)) for picture in pictures]
    if not path.suffix:
        make_folder(path)
        for number, frame in enumerate(frames):
            with writing(path / f"frame_{number:04d}.png") as file:
                file.write(frame)
        return path
    from PIL import Image

    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    with writing(path) as file:
        images[0].save(
            file, format="GIF", save_all=True, append_images=images[1:], duration=round(1000 * seconds), loop=0
        )
    return path


def _draw(picture: SlicePicture, count: int) -> Figure:
    figure = blank(4, 4.3)
    axes = figure.add_subplot()
    axes.imshow(picture.colors(count), origin="lower", interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(picture.title or f"step {picture.step}", fontsize=9)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
