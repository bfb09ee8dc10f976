"""Which parameters of a test run every time, and which in the slow suite only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(values: Iterable[Any], count: int = 1) -> list[Any]:
    """Return parameters of which the first `count` run every time; the others, which repeat the law, are slow."""
    return [pytest.param(value, marks=[pytest.mark.slow] * (i >= count)) for i, value in enumerate(values)]


def few_rows(rows: Iterable[tuple[Any, ...]], count: int = 1) -> list[Any]:
    """Return the same for several arguments at once."""
    return [pytest.param(*row, marks=[pytest.mark.slow] * (i >= count)) for i, row in enumerate(rows)]
