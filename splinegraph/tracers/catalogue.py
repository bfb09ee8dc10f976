"""Import every operator module, so that the lowering table is full."""

from __future__ import annotations

import importlib
import pkgutil

import splinegraph.operators

__all__ = ["load_all"]


def load_all() -> None:
    """Import all modules of `splinegraph.operators`."""
    for module in pkgutil.iter_modules(splinegraph.operators.__path__):
        importlib.import_module(f"splinegraph.operators.{module.name}")
