"""Modules that are convex functions of their input, for networks in which global inference holds.

`ConvexLinear` and `ConvexConv2d` have nonnegative weights by construction, `ConvexSequential` and `icnn` put them
together, `MaxAffine` is a maximum of affine functions.
"""

from splinegraph.nn.layers import ConvexConv2d, ConvexLinear
from splinegraph.nn.max_affine import MaxAffine
from splinegraph.nn.networks import ConvexSequential, icnn

__all__ = ["ConvexConv2d", "ConvexLinear", "ConvexSequential", "MaxAffine", "icnn"]
