"""Figure 10. The templates of all classes, with their common part taken away.

The paper: the same as figure 9 for four images of CIFAR-10, a cat, a boat, a frog and a truck. Shapes are harder to
see, and still the match of the right class is the largest.

What is true: the score, match plus bias, decides, not the match alone. Drawn are images of the same classes, numbers
3, 8, 6 and 9, of whatever data is used, and centred templates: the mean over all classes, which the softmax does not
see, is subtracted. At the optimum of Theorem 5 all templates are multiples of the input, those of wrong classes equal
and opposite to that of the right one, which is C - 1 times as long; the theorem as printed has K outside a root where
it belongs inside.
"""

from __future__ import annotations

from examples.paper.page import Page, Setting
from examples.paper.templates_of_all import of_all_classes

ON_DATA = True


def draw(setting: Setting) -> Page:
    """Draw centred templates."""
    return of_all_classes(setting, (3, 8, 6, 9), centered=True)
