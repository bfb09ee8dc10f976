"""Certified radii: how far an input may move in any direction before its class can change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.robustness.classes import Classifier, check_norm
from splinegraph.core.domains.ball import Ball
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, SplineGraphError, require_seed

__all__ = ["CertifiedRadius", "certified_radius"]

ROUNDS = 5
"""Domains that are tried around an input, if none is given."""


@dataclass(frozen=True, eq=False)
class CertifiedRadius:
    """A proved lower bound of an input's distance to another class; made by `certified_radius`.

    Parameters
    ----------
    radius : float
        Every input nearer than this has class `label`; 0 if nothing is proved.
    within : float
        The same for those inputs alone that lie in the domain; never less than `radius`.
    norm : {1, 2, inf}
    label : int
    runner_up : int
        The class that limits the radius; -1 if none does.
    margin : float
        y_label - y_runner_up at the input, less the rounding of the pass.
    constants : dict from int to float
        Per other class k, a proved Lipschitz constant of y_label - y_k on the domain.
    domain : Box, Ball, tuple of Box or None
        Where the constants hold; None for all of space.
    reason : str
        Why the radius is 0, else ''.
    """

    radius: float
    within: float
    norm: float
    label: int
    runner_up: int
    margin: float
    constants: dict[int, float]
    domain: Any
    reason: str = ""

    def __repr__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"<CertifiedRadius: l{self.norm:g} distance of class {self.label} is {self.radius:.6g} or more{why}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; infinite ones are null."""
        return {
            "radius": _plain(self.radius), "within": _plain(self.within), "kind": "lower",
            "norm": "inf" if self.norm == math.inf else int(self.norm),
            "label": self.label, "runner_up": self.runner_up, "margin": self.margin,
            "constants": {str(k): _plain(v) for k, v in self.constants.items()},
            "domain": None if self.domain is None else repr(self.domain), "reason": self.reason,
        }  # fmt: skip


def certified_radius(
    graph: SplineGraph,
    x: Tensor | Sequence[Tensor],
    norm: float = 2,
    *,
    label: int | Sequence[int] | Tensor | None = None,
    on: Any = None,
    budget: float | None = 10.0,
    seed: int = 0,
) -> tuple[CertifiedRadius, ...]:
    """Return for each input how far it is from any input of another class, at least.

    Parameters
    ----------
    graph : SplineGraph
        Of one output (B, C); a softmax at its end is passed over.
    x : Tensor of shape (B, *in) or (*in); a tuple of them for several inputs
    norm : {1, 2, inf}
        Of perturbations (of all inputs together).
    label : int or one per input, optional
        The class to keep. Default: the one predicted. Where another one is predicted the radius is 0.
    on : Box, Ball, or tuple of one Box per input, optional
        Where Lipschitz constants are worked out; it must hold x. Entries that it fixes do not move. Default: all of
        space, then balls (l2) or boxes around each input, of the sizes that the radius itself suggests.
    budget : float, optional
        Seconds for each input. None: until every constant is exact. After Ctrl-C the constants that are left are
        those of no budget.
    seed : int

    Returns
    -------
    tuple of CertifiedRadius
        One per input.

    Raises
    ------
    ShapeError
        If there are fewer than two classes, or x does not fit or is not finite.
    DomainError
        If an input lies outside of the domain.

    Notes
    -----
    y_c - y_k cannot reach 0 nearer than its value over its Lipschitz constant, on a convex domain that holds both
    points: paper Cor 1's cause of adversarial examples, as a theorem. With a domain the distance from x to its
    boundary counts as well (but see `within`). Claims are on the real function of the weights; margins are
    diminished by 1e-12 times the largest value of the float64 pass.

    Cost: C - 1 Lipschitz constants per domain; those of all of space are shared between inputs of a class.

    References
    ----------
    .. [1] Y. Tsuzuku et al., "Lipschitz-Margin Training", NeurIPS 2018.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 2, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    >>> found = sg.certified_radius(sg.trace(net, torch.zeros(1, 2)), torch.tensor([1.0, 0.5]))
    >>> found[0].label, round(found[0].radius, 9)
    (0, 1.0)
    """
    check_norm(norm, (1, 2, math.inf))
    if budget is not None and not budget >= 0:
        raise SplineGraphError(f"budget={budget!r}", remedy="give seconds that are not negative, or None")
    classifier = Classifier.of(graph)
    inputs = classifier.inputs(x)
    count = len(inputs[0])
    wanted = classifier.labels(label, count)
    y, off = classifier.logits(*inputs)
    seed = require_seed(seed)
    work = _Radii(classifier, norm, on, budget, seed)
    found = []
    for i in range(count):
        c = int(y[i].argmax()) if wanted is None else wanted[i]
        margins = {k: float(y[i, c] - y[i, k] - 2 * off[i]) for k in range(classifier.count) if k != c}
        found.append(work.at(tuple(v[i] for v in inputs), c, margins))
    return tuple(found)


class _Radii:
    """The search, and the constants that inputs share."""

    def __init__(self, classifier: Classifier, norm: float, on: Any, budget: float | None, seed: int) -> None:
        self.classifier, self.norm, self.on, self.budget, self.seed = classifier, norm, on, budget, seed
        self.shared: dict[tuple[int, int], float] = {}
        self.interrupted = False

    def at(self, x: tuple[Tensor, ...], c: int, margins: dict[int, float]) -> CertifiedRadius:
        """Return the radius of one input."""
        edge = math.inf if self.on is None else _edge(self.on, x, self.norm)
        k = min(margins, key=lambda j: margins[j])
        if margins[k] <= 0:
            why = f"class {k} is predicted" if margins[k] < -1e-9 else f"classes {c} and {k} tie to rounding"
            return CertifiedRadius(0.0, 0.0, self.norm, c, k, max(margins[k], 0.0), {}, self.on, why)
        stop = None if self.budget is None else time.monotonic() + self.budget
        constants = self._constants(c, margins, self.on, stop, 0.5 if self.on is None else 1.0, shared=True)
        best = self._result(c, margins, constants, self.on, edge)
        return self._around(x, best, margins, stop) if self.on is None else best

    def _around(
        self, x: tuple[Tensor, ...], best: CertifiedRadius, margins: dict[int, float], stop: float | None
    ) -> CertifiedRadius:
        """Try domains around x: the best one is as large as the radius that it proves."""
        size, high = _next(best.radius, best.within, math.inf), math.inf
        for step in range(ROUNDS):
            if self.interrupted or not 0 < size < math.inf or (stop is not None and time.monotonic() >= stop):
                break
            domain = _ball(x, size, self.norm)
            constants = self._constants(best.label, margins, domain, stop, 1 / (ROUNDS - step))
            found = self._result(best.label, margins, constants, domain, size)
            high = size if found.within < size else high
            best = max(best, found, key=lambda r: r.radius)
            size = _next(best.radius, found.within, high)
        return best

    def _result(
        self, c: int, margins: dict[int, float], constants: dict[int, float], domain: Any, edge: float
    ) -> CertifiedRadius:
        reach = {k: margins[k] / K if K > 0 else math.inf for k, K in constants.items()}
        k = min(reach, key=lambda j: reach[j])
        within = reach[k] * (1 - 1e-12)
        radius = min(within, edge)
        why = "" if radius > 0 else self._nothing(c, k) if within == 0 else "the input lies on the domain's boundary"
        runner = k if math.isfinite(reach[k]) else -1
        return CertifiedRadius(radius, within, self.norm, c, runner, margins[k], constants, domain, why)

    def _nothing(self, c: int, k: int) -> str:
        graph = self.classifier.differences(c, [k])
        nodes = lipschitz(graph, self.norm, self.on, budget=0.0).product
        names = [node.where for node in nodes.unbounded] if nodes else []
        return "no Lipschitz constant" + (f": {names[0]}" if names else "") + "; give a domain"

    def _constants(
        self, c: int, margins: dict[int, float], domain: Any, stop: float | None, share: float, *, shared: bool = False
    ) -> dict[int, float]:
        """Return a proved constant per other class."""
        found: dict[int, float] = {}
        rest = None if stop is None else max(stop - time.monotonic(), 0.0) * share
        for place, (k, _) in enumerate(sorted(margins.items(), key=lambda item: item[1])):
            if shared and (c, k) in self.shared:
                found[k] = self.shared[c, k]
                continue
            each = 0.0 if self.interrupted else None if rest is None else rest / max(len(margins) - place, 1)
            began = time.monotonic()
            graph = self.classifier.differences(c, [k])
            bound = lipschitz(graph, self.norm, domain, tol=1e-3, budget=each, seed=self.seed)
            self.interrupted |= bound.interrupted
            found[k] = bound.upper
            rest = None if rest is None else max(rest - (time.monotonic() - began), 0.0)
            if shared:
                self.shared[c, k] = found[k]
        return found


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _next(low: float, within: float, high: float) -> float:
    """Return the next size to try: what the last domain would allow if it were as large, else between both ends."""
    if low * 1.01 < within < high or low == within < high:
        return within or 1.0
    if high == math.inf:
        return 0.0
    return math.sqrt(low * high) if high > 1.02 * low > 0 else 0.0 if low else high / 8


def _ball(x: tuple[Tensor, ...], radius: float, norm: float) -> Any:
    """Return a domain that holds all points nearer than the radius."""
    if norm == 2 and len(x) == 1:
        return Ball(x[0], radius)
    boxes = tuple(Box.around(v, radius=radius) for v in x)
    return boxes[0] if len(boxes) == 1 else boxes


def _edge(on: Any, x: tuple[Tensor, ...], norm: float) -> float:
    """Return the distance from x to where the domain ends, along entries that can move."""
    domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
    if len(domains) != len(x):
        raise DomainError(f"{len(domains)} domains for {len(x)} inputs", remedy="give one per input")
    least = math.inf
    for domain, v in zip(domains, x, strict=True):
        measure: Callable[..., float] = _edge_of_ball if isinstance(domain, Ball) else _edge_of_box
        least = min(least, measure(domain, v, norm))
    return least


def _edge_of_ball(ball: Ball, x: Tensor, norm: float) -> float:
    away = float(torch.linalg.vector_norm((x - ball.center).reshape(-1)))
    if away > ball.radius:
        raise DomainError("an input lies outside of the domain", remedy="give a domain that holds it")
    # an l_inf step of length r is one of sqrt(n) r in l2
    return (ball.radius - away) / (math.sqrt(x.numel()) if norm == math.inf else 1.0)


def _edge_of_box(box: Any, x: Tensor, norm: float) -> float:
    if not isinstance(box, Box):
        raise DomainError(f"a certified radius on a {type(box).__name__} is not built", remedy="give a Box or a Ball")
    low, high = (side.detach().cpu().double() for side in box.broadcast(tuple(x.shape)))
    if low.shape != x.shape or not bool(((x >= low) & (x <= high)).all()):
        raise DomainError("an input lies outside of the domain", remedy="give a domain of its shape that holds it")
    free = low < high
    away = torch.minimum(x - low, high - x)[free]
    return float(away.min()) if away.numel() else math.inf
