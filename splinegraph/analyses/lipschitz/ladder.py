"""Both ends of a constant so far, and what gave them in what time."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

from splinegraph.analyses.lipschitz.bound import LipschitzBound, Rung
from splinegraph.analyses.lipschitz.certificate import Certificate
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.lower import Witness
from splinegraph.analyses.lipschitz.product import Product, product
from splinegraph.core.bound import BoundKind
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box

__all__ = ["Ladder"]


class Ladder:
    """What methods have given so far; every one of them may be stopped at any time.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
    domain : Domain
    tol : float
        Relative distance of the two ends at which it is done.
    budget : float, optional
        Seconds from now.
    """

    def __init__(self, graph: SplineGraph, norm: float, domain: Domain, tol: float, budget: float | None) -> None:
        self.graph, self.norm, self.domain, self.tol = graph, norm, domain, tol
        self.deadline = None if budget is None else time.monotonic() + budget
        self.lower, self.upper, self.method = 0.0, math.inf, "nothing"
        self.witness: Witness | None = None
        self.certificate: Certificate | None = None
        self.rungs: list[Rung] = []
        self.product: Product | None = None
        self.interrupted = False
        self.boxes: dict[str, Box] | None = None
        self._since = time.perf_counter()

    def start(self) -> None:
        """Take the product of the operators' constants as the first upper end."""
        self.boxes = self.domain.intervals(self.graph)
        self.product = product(self.graph, self.norm, self.boxes)
        upper = self.product.upper
        self.below("product", upper, Certificate(self.graph, self.domain, self.norm, upper))

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return self.deadline is not None and time.monotonic() > self.deadline

    @property
    def met(self) -> bool:
        """Whether the ends are close enough."""
        return self.upper <= self.lower * (1 + self.tol)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.met or self.late

    def share(self, share: float) -> float | None:
        """Return when a share of the time that is left will be over."""
        now = time.monotonic()
        return None if self.deadline is None else now + share * max(self.deadline - now, 0.0)

    def below(self, method: str, upper: float, certificate: Certificate | None, note: str = "") -> None:
        """Take an upper end."""
        self._add(method, "upper", upper, note)
        if upper < self.upper:
            self.upper, self.method, self.certificate = upper, method, certificate

    def above(self, method: str, witness: Witness | None) -> None:
        """Take a lower end."""
        self._add(method, "lower", 0.0 if witness is None else witness.value, "" if witness else "no point found")
        if witness is not None and witness.value > self.lower:
            self.lower, self.witness = witness.value, witness

    def told(self, method: str, why: str, *, side: Literal["lower", "upper"] = "upper") -> None:
        """Say why a method gave nothing."""
        self._add(method, side, math.inf if side == "upper" else 0.0, why)

    def result(self, on: Any) -> LipschitzBound:
        """Return what is known."""
        lower = min(self.lower, self.upper)  # both hold up to rounding
        kind: BoundKind = "bracket"
        if self.upper == math.inf:
            kind = "lower"
        elif lower == self.upper:
            kind = "exact"
        elif lower == 0:
            kind = "upper"
        return LipschitzBound(
            lower, self.upper, kind, self.witness, self.certificate, norm=self.norm, domain=on, method=self.method,
            rungs=tuple(self.rungs), product=self.product, interrupted=self.interrupted,
        )  # fmt: skip

    def _add(self, method: str, side: str, value: float, note: str) -> None:
        now = time.perf_counter()
        self.rungs.append(Rung(method, side, value, now - self._since, note))
        self._since = now
