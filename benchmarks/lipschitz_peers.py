"""Bounds of others: the product of spectral norms, SeqLip, ECLipsE, and auto_LiRPA's bounds of Jacobians on boxes.

They take chains of linear layers with ReLU between them. A program that is not there is named with the reason.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import math
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.lipschitz_nets import Layers

__all__ = ["add_paths", "auto_lirpa", "eclipse", "seqlip", "spectral_product", "why_not"]

Row = dict[str, Any]

MODULES = {
    "LipSDP": ("cvxpy", "clarabel", "scs"),
    "ECLipsE": ("eclipse_nn", "cvxpy"),
    "ECLipsE-Fast": ("eclipse_nn", "cvxpy"),
    "auto_LiRPA": ("auto_LiRPA.jacobian",),
    "ExLipBaB": ("exlipbab", "cvxopt", "cdd", "pypoman", "polytope"),
}

MOST_PATTERNS = 16
"""Units of a layer up to which SeqLip tries all patterns; beyond, its greedy search, whose value is no bound."""


def add_paths(folders: list[str]) -> None:
    """Let peers be found in folders; installed modules come first."""
    sys.path += [folder for folder in folders if folder not in sys.path]


def why_not(name: str) -> str | None:
    """Return why a program cannot run here, None if it can."""
    for module in MODULES.get(name, ()):
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                found = importlib.util.find_spec(module)
        except ImportError as error:
            return f"cannot be imported: {error}"
        if found is None:
            return f"not installed: no module {module}"
    return None


def spectral_product(layers: Layers) -> Row:
    """The product of the layers' spectral norms."""
    begun = time.process_time()
    upper = math.prod(float(torch.linalg.matrix_norm(w, 2)) for w, _ in layers)
    return {"upper": upper, "seconds": time.process_time() - begun}


def seqlip(layers: Layers) -> Row:
    """SeqLip: one maximum over slopes in {0, 1} per layer of units, between halves of the singular values.

    References
    ----------
    .. [1] A. Virmaux and K. Scaman, "Lipschitz regularity of deep neural networks: analysis and efficient
       estimation", NeurIPS 2018.
    """
    begun = time.process_time()
    value, exact, parts = 1.0, True, []
    for k, (weight, _) in enumerate(layers):
        U, S, V = torch.linalg.svd(weight, full_matrices=False)
        left = S if k == 0 else S.sqrt()
        right = S if k == len(layers) - 1 else S.sqrt()
        parts.append((right[:, None] * V, U * left))
    for (_, before), (after, _) in itertools.pairwise(parts):
        if len(before) <= MOST_PATTERNS:
            value *= _best_of_all(after, before)
        else:
            value, exact = value * _greedy(after, before), False
    row: Row = {"value": value, "seconds": time.process_time() - begun}
    return {**row, "upper": value} if exact else {**row, "note": "greedy: no bound"}


def _best_of_all(after: Tensor, before: Tensor) -> float:
    n = len(before)
    patterns = torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    return max(float(torch.linalg.matrix_norm((after * s[:, None]) @ before, 2).max()) for s in patterns.split(4096))


def _greedy(after: Tensor, before: Tensor) -> float:
    """Flip the slope that raises the norm most, until none does."""
    slopes = torch.ones(len(before), dtype=torch.float64)
    M = after @ before
    value = float(torch.linalg.matrix_norm(M, 2))
    while True:
        flips = 1 - 2 * slopes
        found = torch.stack(
            [torch.linalg.matrix_norm(M + f * torch.outer(after[:, i], before[i]), 2) for i, f in enumerate(flips)]
        )
        best = int(found.argmax())
        if float(found[best]) <= value * (1 + 1e-12):
            return value
        value, M = float(found[best]), M + flips[best] * torch.outer(after[:, best], before[best])
        slopes[best] = 1 - slopes[best]


def eclipse(layers: Layers, *, fast: bool) -> Row:
    """ECLipsE, a small matrix inequality per layer (SCS), or its variant in closed form."""
    from eclipse_nn import ECLipsE, ECLipsE_Fast

    weights = [w for w, _ in layers]
    low, high = [0.0] * (len(weights) - 1), [1.0] * (len(weights) - 1)
    begun = time.process_time()
    if fast:
        return {"upper": float(ECLipsE_Fast(weights, low, high)), "seconds": time.process_time() - begun}
    found, failed = ECLipsE(weights, low, high)
    seconds = time.process_time() - begun
    if failed:
        return {"seconds": seconds, "note": "gives up: falls back to ECLipsE-Fast"}
    return {"upper": float(found), "seconds": seconds}


def auto_lirpa(layers: Layers, low: Tensor, high: Tensor, norm: float) -> Row:
    """auto_LiRPA: bounds of all entries of the Jacobian on a box, with optimized relaxations; float64.

    Its operators for gradients of convolutions do not run for several outputs (0.7.1), so these are dense layers here.
    In linf also its bound of each row's sum, whichever is better.
    """
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm
    from auto_LiRPA.jacobian import GradNorm, JacobianOP

    middle = ((low + high) / 2).reshape(1, -1)

    class Jacobian(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = JacobianOP.apply(self.net(x), x)
            return found

    class RowSum(Jacobian):
        def __init__(self, net: nn.Module) -> None:
            super().__init__(net)
            self.sum = GradNorm(norm=1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.sum(JacobianOP.apply(self.net(x), x))
            return found

    def bounded(module: nn.Module) -> tuple[Tensor, Tensor]:
        box = PerturbationLpNorm(norm=math.inf, x_L=low.reshape(1, -1), x_U=high.reshape(1, -1))
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            network = BoundedModule(module, middle, device="cpu", verbose=False)
            lower, upper = network.compute_jacobian_bounds(BoundedTensor(middle, box))
        finally:
            torch.set_default_dtype(before)
        return lower.detach(), upper.detach()

    begun = time.process_time()
    lower, upper = bounded(Jacobian(_sequential(layers)))
    entries = torch.maximum(lower.abs(), upper.abs()).reshape(len(layers[-1][1]), -1)
    ends = [float(torch.linalg.matrix_norm(entries, norm))]
    seconds = time.process_time() - begun
    if norm == math.inf:
        rows = []
        for k in range(len(layers[-1][1])):
            last = (layers[-1][0][k : k + 1], layers[-1][1][k : k + 1])
            rows.append(float(bounded(RowSum(_sequential([*layers[:-1], last])))[1].max()))
        ends.append(max(rows))
    return {"upper": min(ends), "seconds": time.process_time() - begun, "ways": ends, "seconds_entries": seconds}


def _sequential(layers: Layers) -> nn.Sequential:
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = weight.clone(), bias.clone()
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])
