"""Pictures of templates, their dynamics and rankings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.canvas import blank
from splinegraph.errors import ShapeError

if TYPE_CHECKING:
    from splinegraph.analyses.templates.dynamics import TemplateDynamics
    from splinegraph.analyses.templates.memory import Memorization
    from splinegraph.analyses.templates.optimal import OptimalTemplates
    from splinegraph.analyses.templates.ranking import TemplateRanking
    from splinegraph.analyses.templates.templates import Templates

__all__ = ["plot_coefficients", "plot_dynamics", "plot_memorization", "plot_ranking", "plot_templates"]

SAMPLES, CLASSES = 8, 12
"""Most rows and classes of a gallery."""

STEP_X, STEP_Y = 1.12, 1.42
"""Width and height of a tile of size 1 with its margins."""

SIGNED, SPREAD, POINT = "RdBu_r", "#BBBBBB", "#4477AA"


def plot_templates(found: Templates, ax: Any, *, centered: bool, image: tuple[int, ...] | None) -> Any:
    """Draw a row per input: it, the templates of the classes, and the cosines between these."""
    shape = _image_shape(tuple(found.rows.shape[2:]), image)
    rows = (found.centered if centered else found.rows)[:SAMPLES, :CLASSES].detach().cpu()
    inputs = found.map.inputs[0][:SAMPLES].detach().cpu()
    count, classes = rows.shape[:2]
    if ax is None:
        ax = blank(0.85 * STEP_X * (classes + 2), 0.85 * STEP_Y * count + 0.5).add_subplot()
    for i in range(count):
        limit = float(rows[i].abs().max()) or 1.0
        _tile(ax, i, 0, _input(inputs[i].reshape(shape)), {"cmap": "gray_r"})
        label = "x" if found.labels is None else f"x, class {int(found.labels[i])}"
        _caption(ax, i, 0, label)
        for k in range(classes):
            own = found.labels is not None and found.classes[k] == int(found.labels[i])
            style = {"cmap": SIGNED, "vmin": -limit, "vmax": limit}
            _tile(ax, i, 1 + k, _template(rows[i, k].reshape(shape), limit), style, "#222222" if own else "0.8")
            value, bias = float(found.values[i, k]), float(found.biases[i, k])
            _caption(ax, i, 1 + k, f"{found.classes[k]}: {value:.1f}{bias:+.1f}")
        unit = torch.nn.functional.normalize(rows[i].flatten(1), dim=1)
        _tile(ax, i, 1 + classes, (unit @ unit.T).numpy(), {"cmap": SIGNED, "vmin": -1, "vmax": 1})
        _caption(ax, i, 1 + classes, "cosines")
    ax.set_xlim(-0.1, STEP_X * (classes + 2))
    ax.set_ylim(-STEP_Y * count + STEP_Y - 0.05, 1.3)
    ax.set_aspect("equal")
    ax.set_axis_off()
    which = "centred templates" if centered else "templates"
    tangent = "" if found.kind == "exact" else ", tangents of a smooth network"
    ax.set_title(f"{which} A[x]$_c$ of the classes c, with <A[x]$_c$, x> + b[x]$_c${tangent}", fontsize=9)
    return ax


def _image_shape(shape: tuple[int, ...], image: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return (C, H, W) with C of 1 or 3; what is no image is a strip."""
    given = shape if image is None else tuple(image)
    if math.prod(given) != math.prod(shape):
        raise ShapeError(f"image={given} for inputs of shape {shape}", remedy="give as many entries")
    if len(given) == 2:
        return (1, *given)
    if len(given) == 3 and given[0] in (1, 3):
        return given
    if image is not None:
        raise ShapeError(f"image={given}", remedy="give (H, W), (1, H, W) or (3, H, W)")
    return (1, 1, math.prod(shape))


def _input(picture: Tensor) -> Any:
    """Return an input as an image, scaled to its range."""
    if len(picture) == 1:
        return picture[0].numpy()
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0).numpy()


def _template(picture: Tensor, limit: float) -> Any:
    """Return a template as an image; one in color has grey for 0."""
    return picture[0].numpy() if len(picture) == 1 else (0.5 + picture / (2 * limit)).permute(1, 2, 0).numpy()


def _tile(ax: Any, row: int, column: int, picture: Any, style: dict[str, Any], edge: str = "0.8") -> None:
    x, y = STEP_X * column, -STEP_Y * row
    ax.imshow(picture, extent=(x, x + 1, y, y + 1), interpolation="nearest", aspect="auto", **style)
    frame = 1.8 if edge != "0.8" else 0.6
    ax.plot([x, x + 1, x + 1, x, x], [y, y, y + 1, y + 1, y], color=edge, linewidth=frame)


def _caption(ax: Any, row: int, column: int, text: str) -> None:
    ax.text(STEP_X * column + 0.5, -STEP_Y * row + 1.06, text, ha="center", va="bottom", fontsize=6)


def plot_coefficients(found: OptimalTemplates, ax: Any = None) -> Any:
    """Draw the multiples of x / ||x|| that the templates are."""
    ax = blank(5.0, 3.6).add_subplot() if ax is None else ax
    for c, of_class in enumerate(found.coefficients[: 4 * SAMPLES].T):
        ax.plot(of_class.numpy(), "o", markersize=3, label=f"class {c}" if found.coefficients.shape[1] <= 10 else None)
    ax.axhline(0, color=SPREAD, linewidth=1)
    ax.set_xlabel("input")
    ax.set_ylabel("template / (x / ||x||)")
    if found.coefficients.shape[1] <= 10:
        ax.legend(frameon=False, fontsize=7, ncols=2)
    return ax


def plot_dynamics(found: TemplateDynamics, ax: Any = None) -> Any:
    """Draw each template's path: along x, and along what the label's template had across x at the start."""
    ax = blank(4.2, 4.2).add_subplot() if ax is None else ax
    unit = found.x / found.x.norm()
    first = found.path[0, found.label]
    across = first - (first @ unit) * unit
    if not bool(across.norm() > 1e-12):
        at = int(unit.abs().argmin())
        across = torch.eye(len(unit), dtype=unit.dtype)[at] - unit[at] * unit
    across = torch.nn.functional.normalize(across, dim=0)
    for c in range(found.path.shape[1]):
        along, beside = (found.path[:, c] @ unit).numpy(), (found.path[:, c] @ across).numpy()
        own = c == found.label
        color = POINT if own else "#EE6677"
        name = "label's template" if own else "other templates" if c == int(found.label == 0) else None
        ax.plot(along, beside, color=color, linewidth=1, label=name)
        ax.plot(along[-1:], beside[-1:], "o", color=color, markersize=5)
        ax.plot(along[:1], beside[:1], "o", color=color, markersize=4, fillstyle="none")
    norm = float(found.x.norm())
    ax.plot([0, norm], [0, 0], color="#222222", linewidth=2, label="x", zorder=0)
    ax.set_xlabel("along x")
    ax.set_ylabel("across x")
    ax.set_title(f"{len(found.path) - 1} steps, penalty {found.tikhonov:g}; open: start", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_memorization(found: Memorization, ax: Any = None) -> Any:
    """Draw the distributions of cosines as steps."""
    ax = blank(5.0, 3.6).add_subplot() if ax is None else ax
    groups = [("own input", found.own), ("others of its class", found.same), ("other classes", found.other)]
    if found.held_out is not None:
        groups.append(("held out, own input", found.held_out))
    for name, values in groups:
        known = np.sort(values[~values.isnan()].detach().cpu().numpy())
        if len(known):
            ax.step(known, np.arange(1, len(known) + 1) / len(known), where="post", label=name)
    ax.set_xlabel("cosine of the label's centred template")
    ax.set_ylabel("share of samples below")
    if ax.lines:
        ax.legend(frameon=False, fontsize=8)
    return ax


def plot_ranking(found: TemplateRanking, ax: Any = None) -> Any:
    """Draw the score of each network, with its draws behind."""
    known = [network for network in found.networks if network.mean is not None]
    ax = blank(6.0, 0.22 * len(known) + 1.0).add_subplot() if ax is None else ax
    for at, network in enumerate(known):
        ax.plot(network.values, [at] * len(network.values), "|", color=SPREAD, markersize=9)
        ax.plot([network.mean], [at], "o", color=POINT, markersize=4)
    ax.set_yticks(range(len(known)), [network.name for network in known], fontsize=7, parse_math=False)
    ax.invert_yaxis()
    ax.set_xlabel(found.by)
    return ax
