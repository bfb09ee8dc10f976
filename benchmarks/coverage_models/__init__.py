"""The written list of models that `benchmarks.coverage` tries."""

from __future__ import annotations

from benchmarks.coverage_models import (
    dense,
    flows,
    graph_nets,
    others,
    plain,
    policies,
    recurrent,
    timm_nets,
    torchvision_nets,
    transformers_nets,
)
from benchmarks.coverage_models.entry import Entry

__all__ = ["ENTRIES", "Entry"]

ENTRIES: tuple[Entry, ...] = (
    *plain.ENTRIES,
    *recurrent.ENTRIES,
    *graph_nets.ENTRIES,
    *policies.ENTRIES,
    *flows.ENTRIES,
    *torchvision_nets.ENTRIES,
    *timm_nets.ENTRIES,
    *transformers_nets.ENTRIES,
    *dense.ENTRIES,
    *others.ENTRIES,
)
