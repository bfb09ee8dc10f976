"""Figure 16. Distances between codes in SmallCNN.

The paper: distance matrices between 25 images of each of four classes, at each layer, before and after training, by
the norm of A_1^T A_2 (Eq 136). Classes separate with depth. (The caption says SmallCNNmean, the title inside
SmallCNNmax.)

What is true: Eq 136 is a similarity, not a distance, and it tells little: its spectral norm is 0 or 1 for ReLU, and
its Frobenius norm is constant for max pooling, whatever the agreement. Here the distance is |A_1 - A_2|², in the
Frobenius norm: the number of units in different states, weighed by their slopes, as a share of the largest possible.
Nor does a larger overlap of codes bring values nearer (Eq 135): two inputs may share all active units and lie far
apart. On digits nearly every nearest neighbour is of the same class in all layers, before training too; what training
adds, in the last layers, is distance between classes. Below, dark is near; one scale per layer.
"""

from __future__ import annotations

from examples.paper.distances import of_layers
from examples.paper.page import Page, Setting

ON_DATA = True


def draw(setting: Setting) -> Page:
    """Draw the matrices of SmallCNNmean."""
    return of_layers(setting, "small-cnn-mean")
