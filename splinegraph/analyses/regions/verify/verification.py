"""What checks of a partition found."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from splinegraph.core.notebook import card

__all__ = ["Check", "Status", "Verification"]

Status = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Check:
    """One check.

    Parameters
    ----------
    name : str
    status : {'passed', 'failed', 'not run'}
    detail : str
        What was looked at and what was found, or why it did not run.
    figures : mapping from str to number, str or bool
        The numbers behind it.
    about : tuple of int
        The cells that it failed on, where it names any. Not saved.
    """

    name: str
    status: Status
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, passed: bool, detail: str, **figures: Any) -> Check:
        """Return a check that ran."""
        return cls(name, "passed" if passed else "failed", detail, figures)

    @classmethod
    def skipped(cls, name: str, why: str, **figures: Any) -> Check:
        """Return a check that did not run."""
        return cls(name, "not run", why, figures)

    def at(self, cells: Iterable[int]) -> Check:
        """Return the same check with the cells that it failed on."""
        return dataclasses.replace(self, about=tuple(sorted({int(i) for i in cells})))


@dataclass(frozen=True, eq=False)
class Verification:
    """The checks of a partition; true if some ran and all that ran passed.

    Parameters
    ----------
    checks : tuple of Check
    level : {'cheap', 'full'}
    seed : int
    seconds : float
    """

    checks: tuple[Check, ...]
    level: str
    seed: int
    seconds: float

    def __bool__(self) -> bool:
        return self.ok

    @property
    def ok(self) -> bool:
        """Whether some checks ran, and all that ran passed."""
        return self.ran > 0 and not self.failed

    @property
    def ran(self) -> int:
        """How many checks ran."""
        return sum(check.status != "not run" for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")

    def with_checks(self, more: Iterable[Check]) -> Verification:
        """Return the same verification with further checks."""
        return dataclasses.replace(self, checks=(*self.checks, *more))

    @property
    def failure(self) -> str:
        """What failed, in words; '' if nothing did."""
        return "; ".join(f"{check.name}: {check.detail}" for check in self.failed)

    @property
    def summary(self) -> str:
        """In a few words how it went."""
        if not self.ran:
            return "no check could be made"
        if self.ok:
            return f"{self.ran} checks passed"
        return f"{len(self.failed)} of {self.ran} checks FAILED: " + ", ".join(check.name for check in self.failed)

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; there are {', '.join(check.name for check in self.checks)}")

    def __repr__(self) -> str:
        return f"<Verification ({self.level}): {self.summary}>"

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        return "\n".join(f"{check.status:8}{check.name}: {check.detail}" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "ok": self.ok,
            "level": self.level,
            "seed": self.seed,
            "seconds": self.seconds,
            "checks": [
                {"name": c.name, "status": c.status, "detail": c.detail, "figures": dict(c.figures)}
                for c in self.checks
            ],
        }
