"""One look for all pictures: colours that people with any common kind of colour blindness can tell apart."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB",
)  # fmt: skip
"""Paul Tol's palette 'bright'."""

INK = "#222222"

SIGNED = "RdBu_r"
"""Colours of numbers with a sign; white is 0."""


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def bare(ax: Axes) -> Axes:
    """Take away ticks and frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def image(ax: Axes, picture: Any, *, limit: float | None = None, frame: str = "0.8") -> None:
    """Draw an image (C, H, W): an input, or a template if the largest absolute value is given."""
    shown = picture.detach().cpu()
    if limit is not None:
        shown = shown / (2 * limit) + 0.5 if len(shown) == 3 else shown
    elif len(shown) == 3:
        shown = (shown - shown.min()) / (shown.max() - shown.min()).clamp(min=1e-12)
    if len(shown) == 3:
        ax.imshow(shown.permute(1, 2, 0).clamp(0, 1).numpy())
    elif limit is None:
        ax.imshow(shown[0].numpy(), cmap="gray_r")
    else:
        ax.imshow(shown[0].numpy(), cmap=SIGNED, vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color(frame)
    ax.spines[:].set_linewidth(2.0 if frame != "0.8" else 0.6)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str, width: float = 1.2) -> None:
    """Draw an arrow between two nodes, which cover its ends."""
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "shrinkA": 15, "shrinkB": 15}
    ax.add_patch(FancyArrowPatch(start, end, color=color, linewidth=width, **style))
