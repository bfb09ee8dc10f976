"""Whole smooth networks as splines: what is proved, what is seen, how many pieces, and the cells in a plane."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import splinegraph as sg

__all__ = ["networks"]

EXAMPLES = Path(__file__).parents[1] / "examples"
SAMPLES = 20_000
LIMIT = 200_000


def traced(name: str, image: Tensor) -> sg.SplineGraph:
    loaded = sg.load(str(EXAMPLES / f"{name}.py"))
    return sg.trace(loaded.model.double(), image)


def window(image: Tensor, radius: float) -> sg.Plane:
    """Return the plane of two pixels of the digit's lower half, around it."""
    across, down = torch.zeros(2, *image.shape[1:], dtype=torch.float64)
    across[0, 6, 3] = down[0, 7, 4] = 1.0
    return sg.Plane(image[0], across, down, ((-radius, radius), (-radius, radius)))


def row(name: str, graph: sg.SplineGraph, on: sg.Box | sg.Plane, where: str, tol: float) -> dict[str, Any]:
    start = time.process_time()
    found = sg.spline(graph, on, tol=tol)
    seconds = time.process_time() - start
    seen = found.observed_error(on.sample(SAMPLES, generator=torch.Generator().manual_seed(0)))
    result = {
        "network": name, "domain": where, "tol": tol, "pieces": found.pieces, "proved": found.largest_error,
        "seen": seen.lower, "seconds": seconds, "cells": None,
    }  # fmt: skip
    if isinstance(on, sg.Plane):
        start = time.process_time()
        partition = sg.enumerate_regions(found.graph, on, limit=LIMIT)
        result |= {"cells": partition.count, "all": partition.complete, "cells seconds": time.process_time() - start}
    return result


def networks(quick: bool, console: Console) -> list[dict[str, Any]]:
    """Replace the smooth operators of trained networks, to 1e-2."""
    with np.load(EXAMPLES / "digits.npz") as data:
        image = torch.from_numpy(data["x"][:1]).double()
    cases: list[tuple[str, sg.Box | sg.Plane, str]] = [("digits_gelu", window(image, 1.0), "plane of two pixels, ±1")]
    if not quick:
        cases += [
            ("digits_gelu", sg.Box.around(image[0], radius=0.05), "box of radius 0.05 in 64 dimensions"),
            ("digits_lstm", window(image, 0.1), "plane of two pixels, ±0.1"),
            ("digits_lstm", sg.Box.around(image[0], radius=0.002), "box of radius 0.002 in 64 dimensions"),
        ]
    rows = [row(name, traced(name, image), on, where, 1e-2) for name, on, where in cases]
    table = Table(title="networks, largest difference of the outputs at most 1e-2", title_justify="left")
    for heading in ("network", "domain", "pieces", "proved", "seen", "CPU s", "cells", "CPU s"):
        table.add_column(heading, justify="left" if heading in ("network", "domain") else "right")
    for r in rows:
        cells = ("", "") if r["cells"] is None else (f"{r['cells']}", f"{r['cells seconds']:.1f}")
        table.add_row(
            r["network"], r["domain"], str(r["pieces"]), f"{r['proved']:.2e}", f"{r['seen']:.2e}",
            f"{r['seconds']:.1f}", *cells,
        )  # fmt: skip
    console.print(table)
    return rows
