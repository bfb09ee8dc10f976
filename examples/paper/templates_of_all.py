"""What figures 9 and 10 share: the templates of all classes at four inputs."""

from __future__ import annotations

import torch

import splinegraph as sg
from examples.paper.page import Page, Setting
from examples.paper.style import canvas

SAMPLES = 50
"""Test images for the averages."""


def of_all_classes(setting: Setting, labels: tuple[int, ...], *, centered: bool) -> Page:
    """Draw inputs of some classes, one each, with the templates of all classes and their cosines."""
    trained = setting.network("large-cnn-mean")
    seen: dict[int, int] = {}
    images = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        images.append(setting.first(label, seen[label])[-1])
    found = sg.templates(trained.after, torch.stack(images), labels)
    figure = canvas(10.2, 4.7)
    found.plot(figure.add_subplot(), centered=centered)
    data = setting.data
    many = sg.templates(trained.after, data.x_test[:SAMPLES], data.y_test[:SAMPLES])
    own = torch.nn.functional.one_hot(many.labels, len(many.classes)).bool()
    cosines = many.centered_cosines if centered else many.cosines
    gram = many.centered_gram if centered else many.gram
    norms = gram.diagonal(dim1=1, dim2=2).sqrt()
    between = (gram / norms[:, :, None] / norms[:, None])[own][~own]
    ratio = many.comparison.norm_ratio.mean()
    return Page(
        figure,
        measured=(
            f"LargeCNNmean, {100 * trained.accuracy:.1f} % of the test set.",
            f"Means over {SAMPLES} test images, {'centred' if centered else 'raw'} templates: cosine to the input "
            f"{float(cosines[own].mean()):.2f} for the right class, {float(cosines[~own].mean()):.2f} for the others; "
            f"between its template and another {float(between.mean()):.2f}.",
            f"The right one is {float(ratio):.1f} times as long as the others." if centered else "",
        ),
    )
