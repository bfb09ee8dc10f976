"""The section on encoding in the terminal."""

from __future__ import annotations

from rich.console import Console

from splinegraph.analyses.report.encoding import EncodedSample, EncodingSection, ReconstructedLayer
from splinegraph.cli.render_pieces import fill, footnote, named, placed, section_title, text_table

__all__ = ["render_encoding"]


def render_encoding(console: Console, section: EncodingSection, hint: str) -> None:
    """Print the headline, a line per sample and one per layer."""
    section_title(console, "encoding", section.headline, "dim" if section.entries is None else "")
    if not section.rows:
        return
    table = text_table([], ["sample", "rank A", "free", "only input", "A^T f error", "least squares", "cos(x, A^T f)"])
    fill(console, table, section.rows, _sample, hint)
    if section.layers:
        table = text_table(["layer", "module"], ["size", "layer from f", "x from layer"])
        fill(console, table, section.layers, lambda row: _layer(console, row), hint)
    footnote(console, "errors: squared, relative to the squared norm; free: dimensions that A does not see")


def _sample(row: EncodedSample) -> list[str]:
    rank = str(row.rank) if row.rank == row.most_rank else f"{row.rank} to {row.most_rank}"
    only = {True: "yes", False: "no", None: "?"}[row.unique]
    numbers = [f"{value:.3g}" for value in (row.adjoint, row.least_squares, row.cosine)]
    return [str(row.sample), rank, "?" if row.free is None else str(row.free), only, *numbers]


def _layer(console: Console, row: ReconstructedLayer) -> list[str]:
    return [
        named(console, row.name),
        placed(console, row.module),
        str(row.size),
        f"{row.above:.3g}",
        f"{row.below:.3g}",
    ]
