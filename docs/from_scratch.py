"""splinegraph from scratch: a ReLU network as a piecewise affine function, in 200 lines.

It does for an nn.Sequential of Linear and ReLU what the library does for any model, and it does it slowly. Everything
is in float64, and a unit is active where its input is > 0.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


# --- 1. Trace: the network as data --------------------------------------------------------------------------------
@dataclass(frozen=True)
class Layer:
    """z -> W z + b, and a ReLU behind it or not."""

    W: np.ndarray  # (out, in)
    b: np.ndarray  # (out,)
    relu: bool


def trace(model: torch.nn.Sequential) -> list[Layer]:
    """Read the layers, and check on random inputs that they compute what the model computes."""
    layers: list[Layer] = []
    for module in model:
        if isinstance(module, torch.nn.Linear):
            bias = torch.zeros(module.out_features) if module.bias is None else module.bias
            layers.append(Layer(module.weight.detach().double().numpy(), bias.detach().double().numpy(), False))
        elif isinstance(module, torch.nn.ReLU) and layers:
            layers[-1] = Layer(layers[-1].W, layers[-1].b, True)
        else:
            raise TypeError(f"{type(module).__name__} is not known here: use Linear, then ReLU")
    x = torch.randn(100, layers[0].W.shape[1], dtype=torch.float64)
    with torch.no_grad():
        values = np.array([forward(layers, row) for row in x.numpy()])
        assert np.allclose(values, deepcopy(model).double()(x).numpy())
    return layers


def forward(layers: list[Layer], x: np.ndarray) -> np.ndarray:
    """Evaluate the network."""
    for layer in layers:
        x = layer.W @ x + layer.b
        x = np.maximum(x, 0) if layer.relu else x
    return x


# --- 2. Codes and local maps: f(x) = A x + b on the whole cell of x ---------------------------------------------------
def code(layers: list[Layer], x: np.ndarray) -> tuple[tuple[bool, ...], ...]:
    """Say of every unit whether it is active: the name of the cell that x lies in."""
    found = []
    for layer in layers:
        x = layer.W @ x + layer.b
        if layer.relu:
            found.append(tuple(bool(on) for on in x > 0))
            x = np.maximum(x, 0)
    return tuple(found)


def affine_map(layers: list[Layer], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multiply the layers with the rows of inactive units put to zero. No derivative is taken anywhere."""
    A, b = np.eye(len(x)), np.zeros(len(x))
    masks = iter(code(layers, x))
    for layer in layers:
        A, b = layer.W @ A, layer.W @ b + layer.b
        if layer.relu:
            mask = np.array(next(masks))
            A, b = A * mask[:, None], b * mask
    return A, b


# --- 3. Regions in two dimensions: cut polygons by the lines on which units switch -----------------------------------
@dataclass(frozen=True)
class Cell:
    """A convex polygon on which the network is f(x) = A x + b."""

    corners: np.ndarray  # (k, 2), in order
    A: np.ndarray
    b: np.ndarray


def regions(layers: list[Layer], low: float, high: float) -> list[Cell]:
    """Return the cells of a network with two inputs in the square [low, high]^2: exact, but for rounding.

    On a polygon where all units before it are fixed a unit sees an affine function, so that it switches along a line.
    """
    square = np.array([[low, low], [high, low], [high, high], [low, high]])
    cells = [Cell(square, np.eye(2), np.zeros(2))]
    for layer in layers:
        cells = [Cell(c.corners, layer.W @ c.A, layer.W @ c.b + layer.b) for c in cells]
        if not layer.relu:
            continue
        for unit in range(len(layer.b)):
            cells = [Cell(part, c.A, c.b) for c in cells for part in cut(c.corners, c.A[unit], c.b[unit])]
        cells = [masked(c) for c in cells]
    return cells


def cut(corners: np.ndarray, a: np.ndarray, b: float) -> list[np.ndarray]:
    """Cut a convex polygon along a x + b = 0; a part without area is none."""
    values = corners @ a + b
    values[abs(values) < 1e-12 * (1 + abs(a).max())] = 0  # a corner on the line
    if (values >= 0).all() or (values <= 0).all():
        return [corners]
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for (p, u), (q, v) in pairwise([*zip(corners, values, strict=True), (corners[0], values[0])]):
        for part, sign in zip(parts, (1, -1), strict=True):
            if sign * u >= 0:
                part.append(p)
            if u * v < 0:
                part.append(p + (q - p) * u / (u - v))
    return [np.array(part) for part in parts]


def masked(cell: Cell) -> Cell:
    """Apply the ReLU on a cell on which no unit switches."""
    on = cell.A @ cell.corners.mean(axis=0) + cell.b > 0
    return Cell(cell.corners, cell.A * on[:, None], cell.b * on)


def area(corners: np.ndarray) -> float:
    """Return the area of a polygon (the shoelace formula)."""
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


# --- 4. The Lipschitz constant in l2: a bound, and the truth ---------------------------------------------------------
def lipschitz_product(layers: list[Layer]) -> float:
    """Bound the constant by the product of the layers' norms. A ReLU moves nothing further apart."""
    return float(np.prod([np.linalg.norm(layer.W, 2) for layer in layers]))


def lipschitz_exact(cells: list[Cell]) -> float:
    """Return the largest norm of a local map.

    Along a segment a continuous f is a chain of affine pieces, so that it moves by at most max ||A|| times its length;
    inside of the cell with the largest norm it does move so far.
    """
    return float(max(np.linalg.norm(cell.A, 2) for cell in cells))


# --- 5. Convexity: a proof by signs, a decision by slopes ------------------------------------------------------------
def convex_by_signs(layers: list[Layer]) -> bool:
    """Prove that all outputs are convex: no negative weight behind the first layer. False proves nothing."""
    return all((layer.W >= 0).all() for layer in layers[1:])


def convex_on(cells: list[Cell], output: int = 0) -> bool:
    """Decide convexity on the square: f is convex if and only if each local map stays below f everywhere.

    A difference of affine maps on a polygon is largest at a corner.
    """
    for cell in cells:
        value = cell.corners @ cell.A[output] + cell.b[output]
        for other in cells:
            if (cell.corners @ other.A[output] + other.b[output] > value + 1e-9 * (1 + abs(value))).any():
                return False
    return True


if __name__ == "__main__":
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1)
    )
    layers = trace(network)
    x = np.array([0.3, -0.2])
    A, b = affine_map(layers, x)
    cells = regions(layers, -3, 3)
    print("f(x) and A x + b:", forward(layers, x).round(4), (A @ x + b).round(4))
    print("cells:", len(cells), "of area", round(sum(area(cell.corners) for cell in cells), 6))
    print("Lipschitz constant:", round(lipschitz_exact(cells), 4), "<=", round(lipschitz_product(layers), 4))
    print("convex:", convex_on(cells), "by signs:", convex_by_signs(layers))
