"""Figure 17. Distances between codes in LargeCNN.

The paper: the same for LargeCNNmax. Images of the digit 1 are mapped to each other by rotations, so that they need no
depth: their distances are almost the best possible at the first layer already.

What is true: on MNIST ones are near each other in the first layer, but so they are before training, and as images:
their mean squared distance is 0.34 of that of any two of the 100 images, and 0.47 between the codes of the first
layer of an untrained SmallCNN. On the digits of scikit-learn, where ones are of several kinds, they are the most
spread of the four classes. Neither says how much depth is needed. And that separation at the first layer would make
the task linearly separable is false: clusters in the places of an exclusive or have nearest neighbours of their own
class only, and no hyperplane separates them.
"""

from __future__ import annotations

from examples.paper.distances import of_layers
from examples.paper.page import Page, Setting

ON_DATA = True
LAYERS = 6


def draw(setting: Setting) -> Page:
    """Draw the matrices of six layers of LargeCNNmax."""
    return of_layers(setting, "large-cnn-max", LAYERS)
