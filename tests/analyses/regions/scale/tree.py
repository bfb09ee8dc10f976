"""An enumeration to give to workers: the leaves of a random tree, depth first."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from splinegraph.analyses.regions.cells import Cells


@dataclass(frozen=True)
class Tree:
    """The leaves of a tree whose branches depend on a hash of the path to them.

    Parameters
    ----------
    depth : int
    poison : bytes or None
        A path that kills whoever comes to it...
    deaths : int
        ...so often, counted by the files in `notes`.
    slow : float
        Seconds to wait in each run.
    """

    depth: int = 9
    poison: bytes | None = None
    deaths: int = 0
    notes: str = ""
    slow: float = 0.0
    broken: bool = False

    def run(self, task: bytes | None, *, limit: int, deadline: float | None = None) -> tuple[Cells, list[bytes]]:
        if self.broken:
            raise ValueError("out of luck")
        time.sleep(self.slow)
        stack = [task or b""]
        leaves: list[bytes] = []
        while stack and len(leaves) < limit and (deadline is None or time.monotonic() < deadline):
            path = stack.pop()
            self._meet(path)
            draw = blake2b(path, digest_size=1).digest()[0]
            if len(path) == self.depth or (draw < 20 and len(path) > 2):
                leaves.append(path)
            else:
                stack.extend(path + bytes([branch]) for branch in reversed(range(1 + draw % 3)))
        return self.cells(leaves), stack[::-1]

    def cells(self, leaves: list[bytes]) -> Cells:
        packed = np.frombuffer(b"".join(leaf.ljust(self.depth, b"\xff") for leaf in leaves), np.uint8)
        points = np.arange(2.0 * len(leaves)).reshape(-1, 2)
        return Cells(packed.reshape(-1, self.depth), points, np.array([float(len(leaf)) for leaf in leaves]))

    def _meet(self, path: bytes) -> None:
        if path == self.poison:
            died = Path(self.notes)
            if len(list(died.iterdir())) < self.deaths:
                (died / f"{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
