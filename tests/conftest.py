"""Fixtures that all tests share. Warnings are errors (pyproject.toml)."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# by hand every run tries other examples; a change is judged by the same ones each time
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

torch.set_num_threads(1)  # pytest-xdist runs one worker per core
# pytest listens to loggers that do not propagate, and torch then writes down a trace of every export
logging.getLogger("torch.__trace").propagate = True
torch.set_warn_always(True)  # else a warning of torch, an error here, hits one test at random
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore what some tests send


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector off while tests are found, and off what they are made of while they run.

    Hundreds of thousands of objects are made that stay to the end: to go through all of them again and again took
    more than a fifth of the time of finding the tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)  # an export makes tens of thousands of objects that go by themselves
        gc.enable()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Make the global generator of torch start at the same place in every test."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a random generator that is the same in every test."""
    return torch.Generator().manual_seed(0)
