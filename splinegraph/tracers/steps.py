"""Time steps of unrolled recurrent modules.

torch unrolls LSTM, GRU and RNN into calls on the slices of a sequence. A slice starts a step; what is
computed from values of several steps belongs to the latest of them; the product of a state with the
recurrent weights belongs to the step after; what gathers several steps belongs to none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Clock"]


class Clock:
    """Follows time through the nodes of recurrent modules, in graph order."""

    def __init__(self) -> None:
        self._time: dict[str, tuple[int, int]] = {}  # name -> (step, direction)

    def slice(self, name: str, step: int) -> int:
        """Note that node `name` is slice `step` of a sequence; return the step."""
        self._time[name] = (step, 0)
        return step

    def tick(self, name: str, args: Sequence[str], *, gathers: bool, recurrent: int) -> int | None:
        """Note a node and return its step, None if it belongs to none.

        Parameters
        ----------
        gathers : bool
            Whether the call joins several values (concatenation).
        recurrent : int
            1 if the call multiplies a state by recurrent weights, -1 if by those of a reversed pass,
            else 0.
        """
        times = [self._time[arg] for arg in args if arg in self._time]
        if not times or gathers:
            return None
        direction = recurrent or next((d for _, d in times if d), 1)
        step = (max if direction > 0 else min)(s for s, _ in times) + recurrent
        self._time[name] = (step, recurrent or next((d for _, d in times if d), 0))
        return step

    def rename(self, names: Mapping[str, str]) -> None:
        """Note that nodes have other names now, given by the old ones."""
        self._time.update({new: self._time.pop(old) for old, new in names.items() if old in self._time})
