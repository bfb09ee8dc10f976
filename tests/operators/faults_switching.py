"""Operators whose data on switching are wrong in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from splinegraph.core.operator import Shapes
from splinegraph.operators.elementwise import ReLU
from splinegraph.operators.maximum import Amax


class SwitchesElsewhere(ReLU):
    def switching(self, shapes: Shapes, on: Any = None) -> Any:
        return replace(super().switching(shapes, on), breakpoints=torch.tensor([0.5], dtype=torch.float64))


class RanksTheSmallestFirst(Amax):
    def switching(self, shapes: Shapes, on: Any = None) -> Any:
        return replace(super().switching(shapes, on), largest=False)
