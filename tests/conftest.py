"""Fixtures that all tests share. Warnings are errors (pyproject.toml)."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)  # pytest-xdist runs one worker per core
torch.set_warn_always(True)  # else a warning of torch, an error here, hits one test at random


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Make the global generator of torch start at the same place in every test."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a random generator that is the same in every test."""
    return torch.Generator().manual_seed(0)
