"""Figure 18. Distances between codes in Resnet3.

The paper: the same for Resnet3mean.

What is true: see figure 16. The block of the paper's table 7 is not drawn there; here it is that of Eq 44 with one
convolution. In residual networks codes are those of the branches: two inputs with equal codes in one layer may still
differ in what the skip connections carry past it.
"""

from __future__ import annotations

from examples.paper.distances import of_layers
from examples.paper.page import Page, Setting

ON_DATA = True
LAYERS = 6


def draw(setting: Setting) -> Page:
    """Draw the matrices of six layers of Resnet3-16mean."""
    return of_layers(setting, "resnet3-16-mean", LAYERS)
