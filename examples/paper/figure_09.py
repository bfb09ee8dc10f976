"""Figure 9. The templates of all classes at four inputs.

The paper: four MNIST digits of classes 4, 4, 7 and 2, the templates of all classes at each of them with their match
and bias, and the Gram matrix of these templates. Those of wrong classes are not noise: they are inversely correlated
with the input and with the template of the right class.

What is true: for templates as they come out of training this is not settled by anything, since a common part of all
classes may be added without changing the loss. Look at the centred ones (figure 10); for these the sum over all
classes is zero, so that a mean cosine below zero between classes is forced and tells nothing.
"""

from __future__ import annotations

from examples.paper.page import Page, Setting
from examples.paper.templates_of_all import of_all_classes

ON_DATA = True


def draw(setting: Setting) -> Page:
    """Draw templates as they are."""
    return of_all_classes(setting, (4, 4, 7, 2), centered=False)
