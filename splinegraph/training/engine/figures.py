"""Figures of runs: reconstructions (as paper Fig 12), accuracy curves (as Fig 13), the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.canvas import blank
from splinegraph.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[tuple[Sequence[int], Sequence[float]]]]

__all__ = ["plot_accuracies", "plot_confusion", "plot_losses", "plot_reconstructions"]


def plot_reconstructions(images: Tensor, columns: Mapping[str, Tensor]) -> Figure:
    """Draw images beside their reconstructions by one or more networks, a row per image: Fig 12 of the paper.

    Parameters
    ----------
    images : Tensor of shape (N, C, H, W)
        With 1 or 3 channels; of others the mean over them is drawn.
    columns : mapping of str to Tensor of shape (N, C, H, W)
        Reconstructions by what they are called. Each image has its own scale of grays.

    Raises
    ------
    ShapeError
        If there are no images, or shapes differ.
    """
    if images.dim() != 4 or not len(images):
        raise ShapeError(f"no images: a tensor of shape {tuple(images.shape)}", remedy="give shape (N, C, H, W)")
    shown = {"input": images, **columns}
    for name, column in columns.items():
        if column.shape != images.shape:
            raise ShapeError(f"{name!r} has shape {tuple(column.shape)}, the images {tuple(images.shape)}")
    figure = blank(1.3 * len(shown), 1.3 * len(images) + 0.3)
    grid = figure.subplots(len(images), len(shown), squeeze=False)
    for j, (name, column) in enumerate(shown.items()):
        grid[0, j].set_title(name, fontsize=8)
        for i in range(len(images)):
            grid[i, j].set_axis_off()
            grid[i, j].imshow(_picture(column[i]), cmap="gray")
    return figure


def plot_accuracies(curves: Curves, ax: Axes | None = None) -> Axes:
    """Draw test accuracy over the steps: Fig 13 of the paper.

    Parameters
    ----------
    curves : mapping of str to sequence of (steps, accuracies)
        Runs by what they are called: all of one name (draws of the labels, say) share a color, with their mean where
        they were measured at the same steps.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own.
    """
    axes = blank(7, 4.2).add_subplot() if ax is None else ax
    for number, (name, runs) in enumerate(curves.items()):
        color = f"C{number % 10}"
        for steps, accuracies in runs:
            axes.plot(steps, [100 * a for a in accuracies], color=color, alpha=0.35 if len(runs) > 1 else 1.0, lw=1.2)
        same = len({tuple(steps) for steps, _ in runs}) == 1
        if len(runs) > 1 and same:
            axes.plot(runs[0][0], 100 * np.mean([a for _, a in runs], axis=0), color=color, lw=2.2)
        axes.plot([], [], color=color, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("test accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return axes


def plot_losses(steps: Sequence[int], losses: Sequence[Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Draw every term of the loss over the steps, on a logarithmic scale."""
    names = list(dict.fromkeys(name for row in losses for name in row))
    axes = blank(7, 4.2).add_subplot() if ax is None else ax
    for name in names:
        axes.plot(
            steps, [row.get(name, float("nan")) for row in losses], label=name, lw=2.2 if name == "total" else 1.2
        )
    axes.set_yscale("symlog", linthresh=1e-4)
    axes.set_xlabel("step")
    axes.set_ylabel("mean since the measurement before")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return axes


def plot_confusion(confusion: Tensor, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: true classes are rows, and colors are shares of a row.

    Parameters
    ----------
    confusion : Tensor of shape (C, C), integers
    names : sequence of str, optional
        Of the classes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own.
    """
    classes = len(confusion)
    names = [str(c) for c in range(classes)] if names is None else list(names)
    share = confusion.double() / confusion.sum(1, keepdim=True).clamp_min(1)
    axes = blank(1.6 + 0.42 * classes, 1.4 + 0.42 * classes).add_subplot() if ax is None else ax
    axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1)
    if classes <= 20:
        for i in range(classes):
            for j in range(classes):
                if int(confusion[i, j]):
                    color = "white" if share[i, j] > 0.5 else "black"
                    axes.text(j, i, str(int(confusion[i, j])), ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(classes), names, fontsize=7)
    axes.set_yticks(range(classes), names, fontsize=7)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return axes


def _picture(image: Tensor) -> NDArray[np.float64]:
    """Return an image of (C, H, W) with its values in [0, 1], shape (H, W) or (H, W, 3)."""
    plain = image.detach().double().cpu()
    low, high = plain.min(), plain.max()
    plain = (plain - low) / torch.clamp_min(high - low, 1e-12)
    return np.asarray(plain.permute(1, 2, 0) if len(plain) == 3 else plain.mean(0))
