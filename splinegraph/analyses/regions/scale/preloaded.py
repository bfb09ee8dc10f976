"""Imported by the server that workers are forked from: with what they need, compiled code loaded."""

from __future__ import annotations

import torch

from splinegraph.analyses.regions.scale import worker
from splinegraph.analyses.regions.search.search import search
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.values import Box

__all__ = ["worker"]


def _load() -> None:
    """Search the one cell of a network that returns its input: that loads all functions."""
    identity = SplineGraph((Node("x", Input(), shape=(1, 1)),), ("x",), ("x",))
    search(identity, chart_of(identity, Box(torch.zeros(1), torch.ones(1))))


_load()
