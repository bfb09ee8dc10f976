"""A network as units with slopes: what semidefinite bounds and branch and bound run on.

Every unit answers to one affine functional of the inputs and the units before it, with a slope in a known range;
everything else is affine. Skips, concatenations and poolings come free: a maximum is a chain of comparisons.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.functions import Elementwise

__all__ = ["Block", "Units"]

Floats = NDArray[np.float64]

FREE, LEFT, RIGHT = -1, 0, 1
"""What is known of a unit: nothing, that its functional is negative, that it is positive."""


@dataclass(frozen=True)
class Block:
    """Units start to stop of one node; none depends on another of them.

    Units without a `function` have one kink.
    """

    name: str
    start: int
    stop: int
    function: Elementwise | None = None

    @property
    def part(self) -> slice:
        """Where its units are among all."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Units:
    """A network in terms of its inputs x and of the values e of n units, z = (x, e).

    Unit i sees ``u_i = forms[:, i] @ z + offsets[i]``; for two inputs, e_i differs by s times what u_i differs by,
    with ``low[i] <= s <= high[i]``. The outputs are ``outputs.T @ z`` plus constants.

    Parameters
    ----------
    forms : array of shape (n0 + n, n)
        Of unit i only entries of inputs and of units of earlier blocks are not zero.
    offsets : array of shape (n,)
    outputs : array of shape (n0 + n, m)
    inputs : int
        n0, the entries of the inputs.
    low, high : array of shape (n,)
    slopes : array of shape (2, n)
        Where a unit has one kink: e_i = slopes[0, i] u_i for u_i <= 0, else slopes[1, i] u_i. nan elsewhere.
    blocks : tuple of Block
        In order.
    """

    forms: Floats
    offsets: Floats
    outputs: Floats
    inputs: int
    low: Floats
    high: Floats
    slopes: Floats
    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """N = n0 + n."""
        return len(self.forms)

    @property
    def count(self) -> int:
        """n, the number of units."""
        return int(self.forms.shape[1])

    def reduced(self) -> Units:
        """Return the same with as many inputs as the forms tell apart: the l2 constant on all of space stays."""
        q = self._told_apart
        if q is None:
            return self
        forms = np.concatenate([q.T @ self.forms[: self.inputs], self.forms[self.inputs :]])
        outputs = np.concatenate([q.T @ self.outputs[: self.inputs], self.outputs[self.inputs :]])
        return replace(self, forms=forms, outputs=outputs, inputs=q.shape[1])

    def lifted(self, x: Floats) -> Floats:
        """Return an input that `reduced` maps to x."""
        q = self._told_apart
        return x if q is None else np.asarray(q @ x)

    @functools.cached_property
    def _told_apart(self) -> Floats | None:
        """Orthonormal directions of the inputs that forms tell apart, shape (n0, fewer); None if these are all."""
        both = np.concatenate([self.forms[: self.inputs], self.outputs[: self.inputs]], axis=1)
        keep = np.flatnonzero(both.any(axis=0))
        return None if len(keep) >= self.inputs else np.linalg.qr(both[:, keep])[0]

    def fixed(self, states: NDArray[np.int8]) -> tuple[Units, Floats]:
        """Return the network where some units stay on one side of their kink, and all units' functionals there.

        Parameters
        ----------
        states : array of shape (n,)
            FREE, LEFT or RIGHT.

        Returns
        -------
        Units
            Of the free units alone.
        array of shape (n0 + free + 1, n)
            Of each unit of this network, the functional u_i of the inputs and the free units; constants in the
            last row.
        """
        slope = np.where(states == RIGHT, self.slopes[1], self.slopes[0])
        return self.straightened(states != FREE, slope, np.zeros(self.count))

    def straightened(self, held: NDArray[np.bool_], slope: Floats, intercept: Floats) -> tuple[Units, Floats]:
        """Return the network where some units are affine, e_i = slope_i u_i + intercept_i, as `fixed` does.

        Parameters
        ----------
        held : array of shape (n,), bool
        slope, intercept : array of shape (n,)
            Of the units held.
        """
        n0 = self.inputs
        free = np.flatnonzero(~held)
        place = np.full(self.count, -1)
        place[free] = n0 + np.arange(len(free))
        width = n0 + len(free) + 1
        rows = np.zeros((self.size, width))  # of each entry of z, in terms of what is left
        rows[np.arange(n0), np.arange(n0)] = 1.0
        seen = np.empty((width, self.count))
        for block in self.blocks:
            part, known = block.part, n0 + block.start
            u = self.forms[:known, part].T @ rows[:known]
            u[:, -1] += self.offsets[part]
            seen[:, part] = u.T
            mine, still = n0 + np.arange(block.start, block.stop), held[part]
            rows[mine[still]] = slope[part][still, None] * u[still]
            rows[mine[still], -1] += intercept[part][still]
            rows[mine[~still], place[part][~still]] = 1.0
        start, blocks = 0, []
        for block in self.blocks:
            some = ~held[block.part]
            stop = start + int(some.sum())
            if stop > start:
                function = None if block.function is None else block.function.of(some)
                blocks.append(Block(block.name, start, stop, function))
            start = stop
        left = Units(
            seen[:-1, free], seen[-1, free], (rows[:, :-1].T @ self.outputs), n0, self.low[free], self.high[free],
            self.slopes[:, free], tuple(blocks),
        )  # fmt: skip
        return left, seen

    def levels(self, X: Floats) -> tuple[Floats, Floats]:
        """Return what each unit sees at inputs of shape (B, n0), and its slope there, both of shape (B, n).

        The slope at a kink is that to its left.
        """
        z = np.zeros((len(X), self.size))
        z[:, : self.inputs] = X
        seen, slope = np.empty((len(X), self.count)), np.empty((len(X), self.count))
        for block in self.blocks:
            part, known = block.part, self.inputs + block.start
            u = z[:, :known] @ self.forms[:known, part] + self.offsets[part]
            if block.function is None:
                s = np.where(u > 0, self.slopes[1, part], self.slopes[0, part])
                e = s * u
            else:
                s, e = block.function.derivatives(u), block.function.values(u)
            seen[:, part], slope[:, part] = u, s
            z[:, known : self.inputs + block.stop] = e
        return seen, slope

    def states(self, x: Floats) -> NDArray[np.int8]:
        """Return on which side of its kink each unit is at an input, as `fixed` takes it."""
        seen, _ = self.levels(x[None])
        return np.where(seen[0] > 0, RIGHT, LEFT).astype(np.int8)
