"""Draw digits beside the template that the network matches each of them with.

    python examples/plot_templates.py docs/templates.png

A template is a row of A[x]: the pattern whose product with the input, plus a bias, is the class score.
`sg.templates(graph, x).plot()` draws those of all classes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch

import splinegraph as sg

sys.path.insert(0, str(Path(__file__).parent))
from digits_cnn import model

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SAMPLES = 8


def main(path: str) -> None:
    data = np.load(Path(__file__).parent / "digits.npz")
    first = [int(np.flatnonzero(data["y"] == digit)[0]) for digit in range(SAMPLES)]
    x = torch.from_numpy(data["x"][first])
    graph = sg.trace(model, x)
    found = sg.templates(graph, x)
    rows = found.scores.topk(2).indices
    templates = found.rows[torch.arange(SAMPLES)[:, None], rows][:, :, 0]
    figure, axes = plt.subplots(3, SAMPLES, figsize=(SAMPLES * 1.15, 4.1), layout="constrained")
    for i in range(SAMPLES):
        images = (x[i, 0], templates[i, 0], templates[i, 1])
        limit = float(templates[i].abs().max())
        for row, image in enumerate(images):
            style = {"cmap": "gray_r"} if row == 0 else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
            axes[row, i].imshow(image, **style)
            axes[row, i].set(xticks=[], yticks=[])
            for spine in axes[row, i].spines.values():
                spine.set_color("0.8")
            if row:
                axes[row, i].set_xlabel(
                    f"class {int(rows[i, row - 1])}: {float(found.scores[i, rows[i, row - 1]]):.1f}", fontsize=8
                )
    for row, title in enumerate(("input x", "template of the\nlargest score", "template of the\nrunner-up")):
        axes[row, 0].set_ylabel(title, fontsize=9)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "templates.png")
