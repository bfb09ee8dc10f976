"""The one cell around an input."""

from splinegraph.analyses.regions.local.region import Condition, LocalRegion, local_region

__all__ = ["Condition", "LocalRegion", "local_region"]
