"""Whether each output is convex, concave, affine or neither: methods that prove or refute, the cheapest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

from splinegraph.analyses.convexity.backward import by_backward
from splinegraph.analyses.convexity.curvature import Course, by_curvature, course
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.refuting import by_chords
from splinegraph.analyses.convexity.verdict import Finding, Proof, Verdict, Verdicts, Witness, entries
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError, require_seed, require_whole

__all__ = ["METHODS", "convexity", "deadline_of"]


def convexity(
    graph: SplineGraph,
    on: Any = None,
    *,
    methods: Sequence[str] = ("curvature", "backward", "chords", "facets"),
    limit: int = 100_000,
    budget: float | None = None,
    seed: int = 0,
    chords: int = 4000,
) -> Verdicts:
    """Return for every entry of the output whether it is convex, concave, affine or neither, with the proof.

    Parameters
    ----------
    graph : SplineGraph
        Any; the facets need a continuous and exactly piecewise affine one.
    on : Box, Plane, Segment, Polytope, Ball, tuple of them (one per input), or None
        The convex domain; None for all of space.
    methods : sequence of str
        Which of these to use, in this order. Outputs that are decided drop out.

        - ``curvature``: composition rules, from the signs of weights and the operators' declared curvature and
          direction on interval bounds.
        - ``backward``: intervals of the output's derivatives by every unit: each bend is weighed with the sign that
          it needs.
        - ``chords``: random chords, with exact breakpoints where the network is piecewise affine. Refutes only.
        - ``facets``: the exact criterion on the cells of a bounded domain: no slope falls across a facet. On all of
          space it decides networks of one hidden layer, by their hyperplanes.
    limit : int, default 100_000
        Cells that ``facets`` may enumerate.
    budget : float, optional
        Seconds after which no further work is begun.
    seed : int
        Of the random chords.
    chords : int, default 4000
        Random chords at most.

    Returns
    -------
    Verdicts

    Raises
    ------
    SplineGraphError
        If there is no such method.
    DomainError, ShapeError
        If the domain does not fit the inputs.

    Notes
    -----
    AFFINE, CONVEX and CONCAVE are proved for the real function of the parameters as they are, with margins for all
    rounding; NEITHER comes with two witnesses, whose `verify` works in exact rationals. CONVEX does not exclude
    AFFINE. What nothing decides is UNDECIDED, with a note that says what stands in the way. ``curvature`` and
    ``backward`` cost some passes through the network; ``facets`` grows with the number of cells.

    References
    ----------
    .. [1] M. Grant, S. Boyd, Y. Ye, "Disciplined Convex Programming", 2006, doi:10.1007/0-387-30528-9_7.
    .. [2] R. Balestriero, R. Baraniuk, "A Spline Theory of Deep Learning", ICML 2018.
    .. [3] A. Gagneux, M. Massias, E. Soubies, R. Gribonval, "Convexity in ReLU Neural Networks: beyond ICNNs?",
       arXiv:2501.03017.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 2))
    >>> found = convexity(-graph, sg.Box(torch.tensor([-1.0, 1]), torch.tensor([1.0, 2])))
    >>> [str(verdict.status) for verdict in found]
    ['concave', 'affine']
    """
    require_whole("limit", limit)
    require_whole("chords", chords)
    seed = require_seed(seed)
    work = _Work(graph, Place.of(graph, on), limit, seed, chords, deadline_of(budget))
    several = isinstance(methods, Sequence) and not isinstance(methods, str)
    unknown = [method for method in methods if method not in METHODS] if several else [methods]
    if unknown:
        raise SplineGraphError(f"methods holds {unknown[0]!r}", remedy="give a list of " + ", ".join(METHODS))
    for method in methods:
        if work.open and not work.late:
            work.take(METHODS[method](work), method)
    return Verdicts(graph, on, tuple(work.verdicts), time.monotonic() - work.started)


def deadline_of(budget: float | None) -> float | None:
    """Return when a budget of seconds is spent, of `time.monotonic`; raise if it is none."""
    if budget is None:
        return None
    if not (isinstance(budget, Real) and budget > 0):
        raise SplineGraphError(f"budget is {budget!r} seconds", remedy="give more than 0")
    return time.monotonic() + float(budget)


@dataclass(eq=False)
class _Work:
    """The verdicts as they stand, and what the methods share."""

    graph: SplineGraph
    place: Place
    limit: int
    seed: int
    chords: int
    deadline: float | None
    started: float = field(default_factory=time.monotonic)
    _course: Course | None = None

    def __post_init__(self) -> None:
        self.verdicts = [Verdict(index) for index in entries(self.graph)]

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return self.deadline is not None and time.monotonic() > self.deadline

    @property
    def open(self) -> list[int]:
        """The outputs that are not decided, counted one behind the other."""
        return [i for i, verdict in enumerate(self.verdicts) if not verdict.decided]

    @property
    def course(self) -> Course:
        """What composition rules say of all values; worked out once."""
        if self._course is None:
            self._course = course(self.graph, self.place)
        return self._course

    def take(self, findings: Mapping[int, Finding], method: str) -> None:
        """Add what a method found."""
        seconds = time.monotonic() - self.started
        for i, finding in findings.items():
            known = self.verdicts[i]
            notes = (*known.notes, f"{method}: {finding.note}") if finding.note else known.notes
            convex, concave = _merged(known.convex, finding.convex), _merged(known.concave, finding.concave)
            self.verdicts[i] = replace(known, convex=convex, concave=concave, seconds=seconds, notes=notes)


def _merged(known: Proof, new: Proof) -> Proof:
    return new if known is None else known


def _curvature(work: _Work) -> dict[int, Finding]:
    return by_curvature(work.course, work.open)


def _backward(work: _Work) -> dict[int, Finding]:
    return by_backward(work.course, work.open)


def _chords(work: _Work) -> dict[int, Finding]:
    return by_chords(work.graph, work.place, work.open, count=work.chords, seed=work.seed, deadline=work.deadline)


def _facets(work: _Work) -> dict[int, Finding]:
    from splinegraph.analyses.convexity.facets import by_facets
    from splinegraph.analyses.regions.enumerate import enumerate_regions

    outputs = work.open
    if work.place.on is None:
        return _on_all_of_space(work.graph, outputs)
    budget = None if work.deadline is None else max(work.deadline - time.monotonic(), 1e-3)
    try:
        partition = enumerate_regions(work.graph, work.place.flat, limit=work.limit, budget=budget)
        found = by_facets(partition, outputs, deadline=work.deadline)
    except (DomainError, UnsupportedOperatorError) as error:
        return {i: Finding(note=str(error)) for i in outputs}
    return {i: _within(work.place, finding) for i, finding in found.items()}


def _on_all_of_space(graph: SplineGraph, outputs: list[int]) -> dict[int, Finding]:
    from splinegraph.analyses.convexity.hyperplanes import by_hyperplanes

    try:
        return by_hyperplanes(graph, outputs)
    except SplineGraphError as error:
        return {i: Finding(note=str(error)) for i in outputs}


def _within(place: Place, finding: Finding) -> Finding:
    """Return a finding without witnesses that are outside of a ball, of which the box around it has been looked at."""
    if not place.curved:
        return finding

    def kept(proof: Proof) -> Proof:
        out = isinstance(proof, Witness) and not (place.contains(proof.x) and place.contains(proof.y))
        return None if out else proof

    return Finding(kept(finding.convex), kept(finding.concave), finding.note)


METHODS: dict[str, Callable[[_Work], dict[int, Finding]]] = {
    "curvature": _curvature, "backward": _backward, "chords": _chords, "facets": _facets,
}  # fmt: skip
"""What each method is called."""
