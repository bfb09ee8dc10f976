"""What the objective is made of: the weights of its terms, and how each term is measured."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from splinegraph.data.near import near
from splinegraph.errors import SplineGraphError
from splinegraph.training.objective.schedules import Weight, from_json, to_json, value_at
from splinegraph.training.objective.terms import Form, Reduction, Target

__all__ = ["BALANCE", "CONSISTENCY", "CONTRACTION", "CROSS_ENTROPY", "ENTROPY", "INPUT", "RECONSTRUCTION", "TEMPLATES"]
__all__ += ["Objective", "layer_term"]

CROSS_ENTROPY, RECONSTRUCTION, ENTROPY = "cross_entropy", "reconstruction", "entropy"
BALANCE, CONSISTENCY, CONTRACTION, TEMPLATES = "balance", "consistency", "contraction", "templates"

INPUT = "input"
"""The key of gamma for the network's input, layer 0 of Eq 83."""

_EXTRA = (BALANCE, CONSISTENCY, CONTRACTION, TEMPLATES)
_CHOICES = {"reduction": Reduction, "form": Form, "target": Target, "rows": Literal["all", "unlabelled"]}


SOME_WEIGHT = "give an alpha above 0, or a beta with a gamma above 0"
"""What to do about an objective without terms."""


def layer_term(layer: str) -> str:
    """Return the name of the reconstruction term of a layer."""
    return RECONSTRUCTION if layer == INPUT else f"{RECONSTRUCTION}[{layer}]"


@dataclass(frozen=True)
class Objective:
    r"""The terms of the objective: their weights, and how they are measured.

    .. math:: \alpha \, CE + (1-\alpha) \Bigl[ \beta \sum_l \gamma^{(l)} R^{(l)} + (1-\beta) \, \rho E \Bigr]
              + \ldots

    Every weight is a number or a function of the step (`splinegraph.training.schedules`).

    Parameters
    ----------
    alpha : weight in [0, 1]
        Of cross entropy on the labelled rows: 1 is supervised training, 0 unsupervised.
    beta : weight in [0, 1]
        Of reconstruction, against entropy.
    gamma : mapping of layer to weight >= 0
        Shares of the reconstructions of layers: ``"input"`` is the input (Eq 80), other names are those of the
        graph's nodes or modules that all paths run through. Eq 83 as printed gives up the convex combination of
        Eq 82; here these share the weight of its R.
    ramp : weight >= 0
        A factor of entropy: 0 at first and 1 later lets labels and reconstruction begin.
    balance : weight >= 0
        Of KL(mean prediction || uniform); without it entropy alone can empty classes.
    consistency : weight >= 0
        Of the cross entropy between confident predictions and those of shifted inputs.
    contraction : weight >= 0
        Of the part of the product of Lipschitz constants that passes `lipschitz`; see
        `splinegraph.contraction_penalty`.
    templates : weight >= 0
        Of the part of the templates' energy :math:`\sum_c \|A[x]_c\|^2` that passes `energy` (Theorem 5).
    reduction : {'mean', 'sum'}
        Of reconstruction errors over the entries of a sample; the paper prints the sum.
    form : {'squared', 'cosine'}
        Of the input's reconstruction error.
    target : {'detached', 'normalized'}
        How layers' reconstructions are kept from being minimized by layers that vanish.
    rows : {'all', 'unlabelled'}
        Those that the terms without labels see. Eq 82 prints all.
    shift : int, optional
        Most pixels of a shift. Default: a 14th of the image's shorter side, at least 1: 2 of 28 or 32, 1 of 8.
    confidence : float in [0, 1]
        Probability from which a prediction teaches the shifted one.
    norm : {1, 2, inf}
        Of the Lipschitz constants.
    lipschitz, energy : float >= 0
        What contraction and templates allow.

    Raises
    ------
    SplineGraphError
        For a constant weight out of its range, or an unknown choice.
    """

    alpha: Weight = 0.7
    beta: Weight = 0.5
    gamma: Mapping[str, Weight] = field(default_factory=lambda: {INPUT: 1.0})
    ramp: Weight = 1.0
    balance: Weight = 0.0
    consistency: Weight = 0.0
    contraction: Weight = 0.0
    templates: Weight = 0.0
    reduction: Reduction = "mean"
    form: Form = "squared"
    target: Target = "detached"
    rows: Literal["all", "unlabelled"] = "all"
    shift: int | None = None
    confidence: float = 0.95
    norm: float | Literal["inf"] = 2
    lipschitz: float = 1.0
    energy: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.gamma, Mapping):  # gamma=0.5 is the input's alone
            object.__setattr__(self, "gamma", {INPUT: self.gamma})
        object.__setattr__(self, "gamma", {layer: from_json(weight) for layer, weight in self.gamma.items()})
        for name in ("alpha", "beta", "ramp", *_EXTRA):
            object.__setattr__(self, name, from_json(getattr(self, name)))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise SplineGraphError(
                    f"{name}={getattr(self, name)!r}", remedy=f"choose one of {', '.join(get_args(choices))}"
                )
        norm = math.inf if self.norm == "inf" else self.norm
        if norm not in (1, 2, math.inf):
            raise SplineGraphError(f"norm={self.norm!r}", remedy="choose 1, 2 or inf")
        object.__setattr__(self, "norm", norm)
        _check("confidence", self.confidence, most=1)
        _check("lipschitz", self.lipschitz)
        _check("energy", self.energy)
        whole = isinstance(self.shift, int) and not isinstance(self.shift, bool)
        if self.shift is not None and (not whole or self.shift < 0):
            raise SplineGraphError(f"shift={self.shift!r}", remedy="give a whole number of pixels")
        schedules = [self.alpha, self.beta, self.ramp, *self.gamma.values(), *(getattr(self, name) for name in _EXTRA)]
        if not self.at(0) and not any(callable(weight) for weight in schedules):
            raise SplineGraphError("all weights of the objective are zero", remedy=SOME_WEIGHT)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers besides the input whose reconstructions count, in the order of `gamma`."""
        return tuple(layer for layer in self.gamma if layer != INPUT)

    def at(self, step: int) -> dict[str, float]:
        """Return the weights of the terms at a step, without those that are zero.

        Parameters
        ----------
        step : int

        Raises
        ------
        SplineGraphError
            If a schedule leaves its range there.
        """
        alpha = _check("alpha", value_at(self.alpha, step), step, most=1)
        beta = _check("beta", value_at(self.beta, step), step, most=1)
        weights = {CROSS_ENTROPY: alpha}
        for layer, gamma in self.gamma.items():
            share = _check(f"gamma[{layer!r}]", value_at(gamma, step), step)
            weights[layer_term(layer)] = (1 - alpha) * beta * share
        weights[ENTROPY] = (1 - alpha) * (1 - beta) * _check("ramp", value_at(self.ramp, step), step)
        for name in _EXTRA:
            weights[name] = _check(name, value_at(getattr(self, name), step), step)
        return {name: weight for name, weight in weights.items() if weight != 0}

    def checked(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return given weights of terms, or refuse those that are no weights of terms of this objective.

        Raises
        ------
        SplineGraphError
            For an unknown term, or a weight that is negative or not finite.
        """
        known = [CROSS_ENTROPY, *map(layer_term, self.gamma), ENTROPY, *_EXTRA]
        for name, weight in weights.items():
            if name not in known:
                raise SplineGraphError(f"the objective has no term {name!r}", remedy=f"choose from {', '.join(known)}")
            _check(name, weight)
        return dict(weights)

    def changed(self, **changes: Any) -> Objective:
        """Return the same with some fields changed.

        Raises
        ------
        SplineGraphError
            For a name that is no field.
        """
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                close = near(name, known)
                raise SplineGraphError(
                    f"the objective has no option {name!r}",
                    remedy=f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}",
                )
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; ``Objective(**d)`` makes it again.

        Raises
        ------
        SplineGraphError
            If a weight is a function of the user's.
        """
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        weights = {name: to_json(found[name]) for name in ("alpha", "beta", "ramp", *_EXTRA)}
        norm = "inf" if self.norm == math.inf else self.norm  # JSON has no infinity
        return {
            **found,
            **weights,
            "norm": norm,
            "gamma": {layer: to_json(weight) for layer, weight in self.gamma.items()},
        }


def _check(name: str, value: float, step: int | None = None, *, most: float = math.inf) -> float:
    """Return a value between 0 and `most`, or refuse it."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)  # numpy's too
    if not (number and 0 <= value <= most and math.isfinite(value)):
        raise SplineGraphError(
            f"{name}={value!r}" + (f" at step {step}" if step else ""),
            remedy=f"give a number in [0, {most:g}]" if most < math.inf else "give a finite number >= 0",
        )
    return float(value)
