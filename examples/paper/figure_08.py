"""Figure 8. The templates of one class follow the input.

The paper: the template of class 0 at inputs of class 0, with its match <A[x]_0, x> and its bias. Templates adapt to
their inputs; on CIFAR-10 the background is not captured and only the shape of the object is present.

What is true: each input has its own template, exactly, on the whole cell around it, and match plus bias is the score.
How the template looks is a matter of the network: cross entropy sees only differences of scores, so that a part
common to all classes is arbitrary. The third row has it taken away, and is what the network decides by. A background
that looks empty is no proof that the network does not use it.
"""

from __future__ import annotations

import splinegraph as sg
from examples.paper.page import Page, Setting, to
from examples.paper.style import canvas, image

ON_DATA = True
COUNT = 8


def draw(setting: Setting) -> Page:
    """Draw inputs of class 0, and their templates for class 0."""
    trained = setting.network("large-cnn-mean")
    found = sg.templates(trained.after, setting.first(0, COUNT), [0] * COUNT, classes=[0])
    figure = canvas(9.2, 3.9)
    axes = figure.subplots(3, COUNT)
    for i in range(COUNT):
        raw, centered = found.rows[i, 0], found.centered[i, 0]
        image(axes[0, i], found.map.inputs[0][i])
        image(axes[1, i], raw, limit=float(raw.abs().max()))
        image(axes[2, i], centered, limit=float(centered.abs().max()))
        axes[1, i].set_title(f"{float(found.values[i, 0]):.1f}, bias {float(found.biases[i, 0]):.1f}", fontsize=8)
        axes[2, i].set_xlabel(f"cos {float(found.centered_cosines[i, 0]):.2f}", fontsize=8)
    for ax, name in zip(axes[:, 0], ("input", "template", "template,\ncentred"), strict=True):
        ax.set_ylabel(name, fontsize=9)
    apart = float((found.rows[0] - found.rows[1:]).flatten(2).norm(dim=2).min() / found.rows[0].norm())
    return Page(
        figure,
        measured=(
            f"LargeCNNmean, {100 * trained.accuracy:.1f} % of the test set; match plus bias is the network's score "
            f"{to(float((found.scores[:, 0] - found.map.value[:, 0]).abs().max()))}.",
            f"No two of the templates are equal: the nearest to the first differs by {100 * apart:.0f} % of its norm.",
        ),
    )
