"""From what a user types to a model and an example input."""

from __future__ import annotations

from splinegraph.tracers.loading.examples import example_inputs
from splinegraph.tracers.loading.preprocessing import logits, normalized
from splinegraph.tracers.loading.target import Loaded, load, load_object

__all__ = ["Loaded", "example_inputs", "load", "load_object", "logits", "normalized"]
