"""What is refused before any work on regions is done: limits, workers, devices, types of numbers, operators."""

from __future__ import annotations

from numbers import Real

import torch

from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import SplineGraphError, UnsupportedOperatorError, require_seed, require_whole

__all__ = ["check_request", "device_of", "floating", "require_exact"]


def check_request(
    limit: int | None, budget: float | None, workers: int, method: str, verify: bool | str, seed: int
) -> None:
    """Refuse what `enumerate_regions` cannot do.

    Raises
    ------
    SplineGraphError
    """
    if limit is not None:
        require_whole("limit", limit)
    if budget is not None and not (isinstance(budget, Real) and budget > 0):
        raise SplineGraphError(f"budget is {budget!r} seconds", remedy="give more than 0")
    require_whole("workers", workers)
    require_seed(seed)
    if method not in ("auto", "mesh", "search", "stream"):
        raise SplineGraphError(f"there is no method {method!r}", remedy="choose auto, mesh, search or stream")
    if verify not in (True, False, "cheap", "full"):
        raise SplineGraphError(f"verify is {verify!r}", remedy="choose 'cheap', 'full' or False")


def device_of(device: torch.device | str) -> torch.device:
    """Return a device that values can be computed on.

    Raises
    ------
    SplineGraphError
        If there is none of that name here.
    """
    try:
        found = torch.device(device)
        if found.type == "meta":
            raise SplineGraphError("device is 'meta'", why="it holds no values", remedy="choose 'cpu' or 'cuda'")
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise SplineGraphError(f"there is no device {str(device)!r} here", why=why, remedy="choose 'cpu'") from error
    return found


def floating(dtype: torch.dtype) -> torch.dtype:
    """Return a dtype of real floating-point numbers.

    Raises
    ------
    SplineGraphError
        If it is another one.
    """
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise SplineGraphError(f"dtype is {dtype}", remedy="choose a floating one, like torch.float64")
    return dtype


def require_exact(graph: SplineGraph) -> None:
    """Raise, with the name of the first that is not, unless every operator is piecewise affine."""
    require_graph(graph)
    if graph.exact:
        return
    node, *others = graph.obstacles
    more = f", and {len(others)} more" if others else ""
    raise UnsupportedOperatorError(
        f"{node.op.label} is not piecewise affine{more}",
        where=node.where,
        why="regions are exact for piecewise affine networks only",
        remedy="replace such operators by splines with sg.spline, or look at the part before with graph.between",
    )
