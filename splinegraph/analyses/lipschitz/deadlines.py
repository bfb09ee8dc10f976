"""Whether time is up."""

from __future__ import annotations

import time

__all__ = ["late"]


def late(deadline: float | None) -> bool:
    """Return whether a deadline, of `time.monotonic`, is over; None is none."""
    return deadline is not None and time.monotonic() > deadline
