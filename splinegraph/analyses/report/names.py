"""Names as a report shows them: a name out of a file may hold line breaks or commands to a terminal."""

from __future__ import annotations

from splinegraph.core.graph import SplineGraph
from splinegraph.errors import one_line

__all__ = ["shown_names"]


def shown_names(graph: SplineGraph) -> dict[str, str]:
    """Return for each node its name on one line, control characters as escapes; still unique.

    Parameters
    ----------
    graph : SplineGraph

    Returns
    -------
    dict from name to name
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node in graph.nodes:
        name = shown = one_line(node.name)
        count = 1
        while shown in taken:
            count += 1
            shown = f"{name}~{count}"
        found[node.name] = shown
        taken.add(shown)
    return found
