"""The result of an enumeration, checked; what does not hold is found again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.finding import Found, Work, anew

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.verify.verification import Check

__all__ = ["checked"]

Level = bool | Literal["cheap", "full"]


def checked(work: Work, on: Any, found: Found, *, started: float, verify: Level, seed: int) -> Partition:
    """Return the partition that was found, after checks.

    Parameters
    ----------
    work : Work
    on : domain
        As the user gave it.
    found : Found
    started : float
        Of `time.monotonic`.
    verify : bool or {'cheap', 'full'}
    seed : int
        Of the checks.

    Notes
    -----
    Faces of a mesh that were odd when they were cut, or that a check names, are done again by themselves. All of a
    plane is done again by another algorithm only where that does not help. If nothing does, the first result is
    returned and `verified` tells; with doubtful faces the partition is not complete. Cells at the limit of the
    arithmetic are not done again: every algorithm stops there, and those that drop thin cells would not tell.
    """
    return _Checking(work, on, started, verify, seed).run(found)


@dataclass
class _Checking:
    """A result on the way through its checks; `done` holds what was done again."""

    work: Work
    on: Any
    started: float
    level: Level
    seed: int
    done: list[Check] = field(default_factory=list)

    def run(self, found: Found) -> Partition:
        partition = self._partition(found)
        if found.doubts:
            why = f"{len(found.doubts)} faces were odd when they were cut"
            mended = self._mended(partition, found.doubts, why)
            if mended is None and (again := anew(self.work, found, why)) is not None:
                return self.run(again)
            partition = partition.replace(complete=False, notes=(*found.notes, why)) if mended is None else mended
        if not self.level:
            return partition
        partition = self._verified(partition)
        failure = self._failure(partition)
        if not failure or self._at_the_limit(partition):
            return partition
        if partition.mesh is not None and (mended := self._without_offenders(partition)) is not None:
            return mended
        again = anew(self.work, found, f"the {found.method} failed its checks ({failure})")
        if again is None:
            return partition
        self.done.clear()
        other = self.run(again)
        return partition if self._failure(other) else other

    def _partition(self, found: Found) -> Partition:
        from splinegraph.analyses.regions.partition.partition import Partition

        work = self.work
        return Partition.of(
            work.graph, work.chart, self.on, work.layers, found.cells, mesh=found.mesh, complete=found.complete,
            left=found.left, seconds=self._seconds, method=found.method, notes=found.notes, seed=self.seed,
        )  # fmt: skip

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _verified(self, partition: Partition) -> Partition:
        from splinegraph.analyses.regions.verify.verify import verify

        verification = verify(partition, level="full" if self.level == "full" else "cheap", seed=self.seed)
        return partition.replace(verified=verification.with_checks(self.done))

    def _failure(self, partition: Partition) -> str:
        return "" if partition.verified is None else partition.verified.failure

    def _at_the_limit(self, partition: Partition) -> bool:
        """Return whether cells are as thin as rounding of their inputs, of which no algorithm makes sense."""
        from splinegraph.analyses.regions.verify.codes import WIDE

        return partition.verified is not None and any(check.name == WIDE for check in partition.verified.failed)

    def _without_offenders(self, partition: Partition) -> Partition | None:
        """Return the partition with the faces done again that failed checks name; None if checks still fail."""
        from splinegraph.analyses.regions.verify.verify import offenders

        assert partition.verified is not None
        faces = offenders(partition, partition.verified, self.seed)
        names = ", ".join(check.name for check in partition.verified.failed)
        mended = self._mended(partition, np.split(faces, len(faces)) if len(faces) else [], f"failed: {names}")
        if mended is None:
            return None
        mended = self._verified(mended)
        return None if self._failure(mended) else mended

    def _mended(self, partition: Partition, patches: Sequence[NDArray[np.int64]], why: str) -> Partition | None:
        """Return the partition with some faces done again, as notes and checks say; None if that does not work."""
        from splinegraph.analyses.regions.mending.mending import mend

        mended = mend(partition, patches, deadline=self.work.deadline)
        if mended is None or (self.work.limit is not None and len(mended.partition) > self.work.limit):
            return None
        self.done.append(mended.check)
        notes = (*partition.notes, f"{mended.check.detail} ({why})")
        return mended.partition.replace(notes=notes, seconds=self._seconds)
