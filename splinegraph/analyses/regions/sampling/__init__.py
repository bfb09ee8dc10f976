"""Regions found by sampling, hashed as they are met."""

from splinegraph.analyses.regions.sampling.sample import RegionSample, sample_regions

__all__ = ["RegionSample", "sample_regions"]
