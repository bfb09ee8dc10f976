"""What figures 16 to 18 share: distances between codes, layer by layer, before and after training."""

from __future__ import annotations

import numpy as np
import torch

import splinegraph as sg
from examples.paper.figure_15 import CLASSES, COUNT, images
from examples.paper.page import Page, Setting

WHAT = ("within a class", "between classes", "nearest of the same class")


def percent(share: float | None) -> str:
    """Return a share in percent."""
    return "-" if share is None else f"{100 * share:.0f} %"


def ratio(distances: np.ndarray, place: int) -> float:
    """Return the mean distance within a class as a share of that of all pairs."""
    part = slice(COUNT * place, COUNT * (place + 1))
    pairs, own = len(distances) * (len(distances) - 1), COUNT * (COUNT - 1)
    return float(distances[part, part].sum() / own / (distances.sum() / pairs))


def of_layers(setting: Setting, topology: str, layers: int | None = None) -> Page:
    """Draw the matrices of a network, all layers or so many, spread evenly."""
    trained = setting.network(topology)
    x, y = images(setting)
    both = [sg.separation(graph, x, y) for graph in (trained.before, trained.after)]
    names = [layer.name for layer in both[0]]
    if layers is not None and layers < len(names):
        names = [names[round(i * (len(names) - 1) / (layers - 1))] for i in range(layers)]
        both = [sg.separation(graph, x, y, layers=names) for graph in (trained.before, trained.after)]
    old, new = both
    figure = old.compare(new, ("init", "trained")).plot_matrices()
    rows = [("layer", "operator", "units", *(f"{what}, {when}" for when in ("init", "trained") for what in WHAT))]
    for first, last in zip(old, new, strict=True):
        told = [percent(v) for c in (first.classes, last.classes) for v in (c.within, c.between, c.purity)]
        rows.append((first.name, first.operator, str(first.units), *told))
    pixels = torch.cdist(x.flatten(1), x.flatten(1)).square().numpy()
    spread = [
        f"class {label} {ratio(old[0].relative, i):.2f}, {ratio(new[0].relative, i):.2f}, {ratio(pixels, i):.2f}"
        for i, label in enumerate(CLASSES)
    ]
    return Page(
        figure,
        tuple(rows),
        (
            f"{100 * trained.accuracy:.1f} % of the test set after training.",
            "Mean squared distance of two images of a class, relative to that of any two images, between codes of "
            f"the first layer before training, after it, and between the images themselves: {'; '.join(spread)}.",
        ),
    )
