"""A user's model whose forward pass gives the reconstruction of its input too."""

from __future__ import annotations

from splinegraph.training.network.encoding import Encoded
from splinegraph.training.network.network import SplineNetwork

__all__ = ["Encoded", "SplineNetwork"]
