"""Univariate and multivariate splines, and the best piecewise affine approximants of smooth functions."""

from splinegraph.splines.approximating import approximate
from splinegraph.splines.multivariate import AffineSpline, Region, SplineOperator
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.spline1d import Spline1d, SplineSpace
from splinegraph.splines.univariate import Asymptote, Kink, Univariate

__all__ = [
    "AffineSpline", "Asymptote", "Kink", "PiecewiseAffine", "Region", "Spline1d", "SplineOperator", "SplineSpace",
    "Univariate", "approximate",
]  # fmt: skip
