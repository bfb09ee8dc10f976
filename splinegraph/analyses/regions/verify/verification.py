"""What checks of a partition found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
    """

    name: str
    status: Status
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, passed: bool, detail: str, **figures: Any) -> Check:
        """Return a check that ran."""
        return cls(name, "passed" if passed else "failed", detail, figures)

    @classmethod
    def skipped(cls, name: str, why: str, **figures: Any) -> Check:
        """Return a check that did not run."""
        return cls(name, "not run", why, figures)


@dataclass(frozen=True, eq=False)
class Verification:
    """The checks of a partition; true if all that ran passed.

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
        """Whether all checks that ran passed."""
        return not any(check.status == "failed" for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status == "failed")

    @property
    def failure(self) -> str:
        """What failed, in words; '' if nothing did."""
        return "; ".join(f"{check.name}: {check.detail}" for check in self.failed)

    @property
    def summary(self) -> str:
        """In a few words how it went."""
        ran = sum(check.status != "not run" for check in self.checks)
        if self.ok:
            return f"{ran} checks passed"
        return f"{len(self.failed)} of {ran} checks FAILED: " + ", ".join(check.name for check in self.failed)

    def __getitem__(self, name: str) -> Check:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; there are {', '.join(check.name for check in self.checks)}")

    def __repr__(self) -> str:
        return f"<Verification ({self.level}): {self.summary}>"

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
