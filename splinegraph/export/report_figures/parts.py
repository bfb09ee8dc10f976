"""What the figures need of a report: its sections, whether whole or not, and its images."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["brief", "finite", "image", "plain", "rows", "section"]

Record = Mapping[str, Any]


def section(report: Record, name: str) -> Record:
    """Return a section, empty if it failed or is left out."""
    found = report.get("sections", {}).get(name) or {}
    return {} if found.get("failed") else found


def rows(part: Record, name: str) -> Sequence[Any]:
    """Return a list of a section, empty if it has none."""
    return part.get(name) or ()


def finite(value: object) -> float:
    """Return a number, NaN for what is none; matplotlib leaves that out."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return math.nan


def brief(value: object) -> str:
    """Return a number in three digits, a dash for what is none."""
    number = finite(value)
    return "–" if math.isnan(number) else f"{number:.3g}"


def plain(text: object) -> str:
    """Return text on one line, of characters that may stand in an SVG."""
    shown = re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+", " ", str(text))
    return " ".join(shown.encode("utf-8", "replace").decode("utf-8").split())


def image(picture: Record) -> NDArray[np.float64]:
    """Return the values of an image of a report, shape (H, W) or, in color, (H, W, 3).

    What is no image, (n,), is a strip; of other numbers of channels than 3 the mean is shown.
    """
    shape = tuple(picture["shape"])
    codes = np.frombuffer(base64.b64decode(picture["data"]), dtype=np.uint8).astype(np.float64)
    low, high = float(picture["low"]), float(picture["high"])
    values = (low + codes / 255 * (high - low)).reshape(shape if len(shape) > 1 else (1, *shape))
    if values.ndim == 2:
        return values
    return values.transpose(1, 2, 0) if len(values) == 3 else np.asarray(values.mean(0))
