"""Figure 15. The images of figures 16 to 18.

The paper: 25 MNIST test images of each of four classes, the digit 1 among them, on which distances between codes are
measured in figures 16 to 18.

What is true: it is a picture of the data. Which of the images the paper took is not said: here they are the first
ones of the test set of classes 0, 1, 4 and 7.
"""

from __future__ import annotations

import torch

from examples.paper.page import Page, Setting
from examples.paper.style import bare, canvas

ON_DATA = True
CLASSES = (0, 1, 4, 7)
COUNT = 25


def images(setting: Setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images, class by class, and their classes."""
    x = torch.cat([setting.first(label, COUNT) for label in CLASSES])
    return x, torch.tensor(CLASSES).repeat_interleave(COUNT)


def draw(setting: Setting) -> Page:
    """Draw a five by five square of images per class."""
    x, _ = images(setting)
    squares = x.reshape(len(CLASSES), 5, 5, *x.shape[1:]).permute(0, 3, 1, 4, 2, 5)
    low, high = x.min(), x.max()
    figure = canvas(9.2, 2.6)
    for ax, square, label in zip(figure.subplots(1, len(CLASSES)), squares, CLASSES, strict=True):
        shown = square.reshape(x.shape[1], 5 * x.shape[2], 5 * x.shape[3]).permute(1, 2, 0)
        bare(ax).imshow(((shown - low) / (high - low)).numpy(), cmap="gray_r")
        names = setting.data.names
        ax.set_title(f"class {names[label] if names else label}", fontsize=10)
    return Page(figure)
