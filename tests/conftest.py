"""Fixtures that all tests share. Warnings are errors (pyproject.toml)."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import settings

# by hand every run tries other examples; a change is judged by the same ones each time
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

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
