"""Figures that pyplot does not know of, and small ones inside of HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["blank", "inline"]


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of its own, sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def inline(draw: Callable[[], Any]) -> str:
    """Return what a function draws, axes or a PIL image, as a data URI; '' where it cannot be drawn.

    A card in a notebook without its picture still says what the result is.
    """
    held = io.BytesIO()
    try:
        drawn = draw()
        if hasattr(drawn, "figure"):
            drawn.figure.savefig(held, format="png", dpi=70)
        else:
            drawn.save(held, format="png", optimize=True)
    except Exception:  # noqa: BLE001  # inputs that are no pictures, no matplotlib, ...
        return ""
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
