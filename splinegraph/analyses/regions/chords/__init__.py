"""Regions along segments: exact breakpoints, many segments at a time."""

from splinegraph.analyses.regions.chords.chords import Chords, chords, segment_cells

__all__ = ["Chords", "chords", "segment_cells"]
