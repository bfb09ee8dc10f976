"""Piecewise affine graphs in exact rational arithmetic, and graphs as symbolic expressions."""

from splinegraph.core.exact.evaluation import ExactGraph, ExactMap, ExactPoint, evaluate_exact
from splinegraph.core.exact.latex import latex
from splinegraph.core.exact.symbolic import SymbolicGraph, to_sympy

__all__ = ["ExactGraph", "ExactMap", "ExactPoint", "SymbolicGraph", "evaluate_exact", "latex", "to_sympy"]
