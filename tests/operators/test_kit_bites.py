"""Planted faults: operators that are wrong in one way, and the law that must see it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination
from splinegraph.core.operator import Boxes, Conditions, Piece, Shapes
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.arithmetic import Scale, Shift
from splinegraph.operators.base import ElementwisePiece
from splinegraph.operators.bilinear import Product
from splinegraph.operators.discontinuous import Hardshrink
from splinegraph.operators.elementwise import LeakyReLU, ReLU
from splinegraph.operators.linear import Linear
from splinegraph.operators.maximum import Amax
from splinegraph.operators.normalizing import Expansion, LogSoftmax, Softmax
from splinegraph.operators.order import Sort
from splinegraph.operators.shape import Flip
from splinegraph.operators.smooth import Square
from splinegraph.operators.smooth_functions import Tanh
from splinegraph.testing import LAWS, Sample, check_operator
from tests.operators.faults_switching import RanksTheSmallestFirst, SwitchesElsewhere
from tests.operators.samples import weights

W = weights(3, 4)
PLANE = ((2, 4),)

# what an operator is


class AffineByName(ReLU):
    family = "affine"


@dataclass(eq=False)
class Mutable(Tanh.__mro__[1]):  # type: ignore[misc]
    gain: float = 1.0
    profile = Tanh.profile

    def forward(self, *xs: Tensor) -> Tensor:
        return torch.tanh(xs[0])

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 - y * y


class WritesItsArgument(ReLU):
    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].clamp_(min=0)


@dataclass(frozen=True, eq=False)
class HoldsALambda(ReLU):
    hook: Any = field(default_factory=lambda: lambda: None)


class LongLabel(ReLU):
    @property
    def label(self) -> str:
        return "ReLU\nof something"


class Doubles(ReLU):
    def forward(self, *xs: Tensor) -> Tensor:
        return torch.relu(xs[0].double())


class FloatCode(ReLU):
    def code(self, *xs: Tensor) -> Tensor:
        return super().code(*xs).to(xs[0])


class MixesTheBatch(ReLU):
    def forward(self, *xs: Tensor) -> Tensor:
        return torch.relu(xs[0] - xs[0].mean(0))


class ForwardOfAnother(ReLU):
    def forward(self, *xs: Tensor) -> Tensor:
        return xs[0].clamp(0, 2)


class ExpandsIntoAnother(Softmax):
    def expand(self) -> Expansion:
        return LogSoftmax(self.dim).expand()


# pieces


class WrongSlope(ReLU):
    slopes = (0.0, 0.5)


class PieceFails(Tanh):
    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        y, slope = self.forward(*xs), self.derivative(xs[0])
        return y, ElementwisePiece(slope, y, exact=False)


class SwitchOfAnother(ReLU):
    def switch(self, *xs: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(*xs), 1 - self.code(*xs)


class ClaimsToBeExact(Tanh):
    def value_and_piece(self, *xs: Tensor) -> tuple[Tensor, Piece]:
        y, slope = self.forward(*xs), self.derivative(xs[0])
        return y, ElementwisePiece(slope, y - slope * xs[0])


class WrongDerivative(Tanh):
    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 - y


class NotLinear(Linear):
    def linear(self, *vs: Tensor) -> Tensor:
        return super().linear(*vs) + 1


class WrongAdjoint(Linear):
    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u @ self.weight.abs(),)


class WrongAdjointOfTheSecond(LinearCombination):
    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return u * self.coefficients[0], u * self.coefficients[0]


class PositiveAxis(Flip):
    def linear(self, *vs: Tensor) -> Tensor:
        return vs[0].flip(1)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.flip(1),)


class DetachesWeights(Linear):
    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u @ self.weight.detach(),)


class DetachesCotangents(Linear):
    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        return (u.detach() @ self.weight,)


# cells


class OneCodeForAll(Amax):
    def code(self, *xs: Tensor) -> Tensor:
        return super().code(*xs)[..., :1]


class CodeBeyondTheAlphabet(ReLU):
    def alphabet(self, shapes: Shapes) -> int:
        return 2

    def code(self, *xs: Tensor) -> Tensor:
        return 3 * super().code(*xs)


class OnePieceOnly(ReLU):
    def pieces(self, unit: int, shapes: Shapes) -> Tensor:
        return torch.zeros(1, dtype=torch.int64)


class NoConditions(ReLU):
    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        return Conditions.none()


class ConditionsOfTheNeighbor(ReLU):
    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        return super().conditions(1 - code, shapes)


class LosersInOrder(Amax):
    """Takes the second place for a condition too."""

    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        found = super().conditions(code, shapes)
        return Conditions(found.row, found.argument, found.position, found.coefficient, found.rhs - 0.3, found.unit)


class UnsortedConditions(Sort):
    def conditions(self, code: Tensor, shapes: Shapes) -> Conditions:
        found = super().conditions(code, shapes)
        kept = found.row != 0
        return Conditions(
            found.row[kept] - 1, found.argument[kept], found.position[kept], found.coefficient[kept],
            found.rhs[1:], found.unit[1:],
        )  # fmt: skip


class SaysContinuous(Hardshrink):
    continuous = True


class NeverTies(ReLU):
    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        return torch.zeros_like(xs[0], dtype=torch.bool)


class AlwaysTies(ReLU):
    def ties(self, xs: Sequence[Tensor], vs: Sequence[Tensor], slack: Tensor) -> Tensor:
        return torch.ones_like(xs[0], dtype=torch.bool)


# facts


class BoundsOfTheArgument(Scale):
    def bounds(self, *boxes: Box) -> Box:
        return boxes[0]


class BoundsForgetTheInside(Square):
    def bounds(self, *boxes: Box) -> Box:
        ends = [self.forward(end) for end in boxes[0]]
        return Box(torch.minimum(*ends), torch.maximum(*ends))


class LooseBounds(ReLU):
    def bounds(self, *boxes: Box) -> Box:
        box = super().bounds(*boxes)
        return Box(box.lower - 1, box.upper)


class LooseAffineBounds(Shift):
    def bounds(self, *boxes: Box) -> Box:
        return Box.everything(boxes[0].shape)


class NanBounds(Scale):
    def bounds(self, *boxes: Box) -> Box:
        low, high = (side * self.factor for side in boxes[0])
        return Box(torch.minimum(low, high), torch.maximum(low, high))


class TooSmall(LeakyReLU):
    def lipschitz(self, norm: Any = 2, arg: int = 0, on: Any = None, shapes: Any = None) -> float:
        return 1.0


class TooSmallOnBoxes(LeakyReLU):
    def lipschitz(self, norm: Any = 2, arg: int = 0, on: Any = None, shapes: Any = None) -> float:
        return super().lipschitz(norm, arg) if on is None else 1.0


class TooSmallInL1(Linear):
    def lipschitz(self, norm: Any = 2, arg: int = 0, on: Any = None, shapes: Any = None) -> float:
        return super().lipschitz(math.inf if norm == 1 else norm, arg)


class ForgetsTheOtherFactor(Product):
    def lipschitz(self, norm: Any = 2, arg: int = 0, on: Any = None, shapes: Any = None) -> float:
        return super().lipschitz(norm, 0 if on is None else 1 - arg, on)


class JoinsByTheLargest(LinearCombination):
    def join(self, constants: Sequence[float], norm: float = 2) -> float:
        return max(constants)


class AlwaysConvex(LeakyReLU):
    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.CONVEX.tensor()


class AffineOnBoxes(LeakyReLU):
    def curvature(self, on: Boxes | None = None) -> Tensor:
        return super().curvature() if on is None else Curvature.AFFINE.tensor()


class ConvexProduct(Product):
    """Convex in each argument, which is not jointly convex."""

    def curvature(self, on: Boxes | None = None) -> Tensor:
        return Curvature.CONVEX.tensor()


class AlwaysIncreasing(LeakyReLU):
    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.NONDECREASING.tensor()


class IncreasingInBoth(LinearCombination):
    def monotonicity(self, arg: int = 0, on: Boxes | None = None) -> Tensor:
        return Monotonicity.NONDECREASING.tensor()


class NoSplit(Linear):
    def split(self) -> tuple[Any, Any]:
        return Linear(self.weight), None


class SplitLosesAPart(Linear):
    def split(self) -> tuple[Any, Any]:
        return super().split()[0], None


class SplitWithBias(Linear):
    def split(self) -> tuple[Any, Any]:
        return Linear(self.weight.clamp(min=0), self.bias), super().split()[1]


TWO = ((2, 3), (2, 3))

FAULTS: list[tuple[str, Sample]] = [
    ("declaration", Sample(AffineByName(), PLANE)),
    ("frozen", Sample(Mutable(), PLANE)),
    ("frozen", Sample(WritesItsArgument(), PLANE)),
    ("pickle", Sample(HoldsALambda(), PLANE)),
    ("pickle", Sample(LongLabel(), PLANE)),
    ("dtype", Sample(Doubles(), PLANE)),
    ("dtype", Sample(FloatCode(), PLANE)),
    ("batch", Sample(MixesTheBatch(), PLANE)),
    ("forward", Sample(ForwardOfAnother(), PLANE, torch.relu)),
    ("forward", Sample(LeakyReLU(0.3), PLANE, torch.relu)),
    ("expand", Sample(ExpandsIntoAnother(-1), PLANE)),
    ("value", Sample(WrongSlope(), PLANE)),
    ("value", Sample(PieceFails(), PLANE)),
    ("shortcuts", Sample(SwitchOfAnother(), PLANE)),
    ("shortcuts", Sample(ClaimsToBeExact(), PLANE)),
    ("tangent", Sample(WrongDerivative(), PLANE)),
    ("linear", Sample(NotLinear(W), PLANE)),
    ("adjoint", Sample(WrongAdjoint(W), PLANE)),
    ("adjoint", Sample(WrongAdjointOfTheSecond((1.0, -1.0)), TWO)),
    ("leading", Sample(PositiveAxis((-1,)), PLANE)),
    ("differentiable", Sample(DetachesWeights(W), PLANE)),
    ("differentiable", Sample(DetachesCotangents(W), PLANE)),
    ("code", Sample(OneCodeForAll((-1,)), ((2, 3, 4),))),
    ("code", Sample(CodeBeyondTheAlphabet(), PLANE)),
    ("pieces", Sample(OnePieceOnly(), PLANE)),
    ("switching", Sample(SwitchesElsewhere(), PLANE)),
    ("switching", Sample(RanksTheSmallestFirst((-1,)), PLANE)),
    ("cell", Sample(NoConditions(), PLANE)),
    ("cell", Sample(ConditionsOfTheNeighbor(), PLANE)),
    ("cell", Sample(LosersInOrder((-1,)), PLANE)),
    ("cell", Sample(UnsortedConditions(), ((1, 3),))),
    ("continuity", Sample(SaysContinuous(), PLANE)),
    ("ties", Sample(NeverTies(), PLANE)),
    ("ties", Sample(AlwaysTies(), PLANE)),
    ("bounds", Sample(BoundsOfTheArgument(-2.0), PLANE)),
    ("bounds", Sample(BoundsForgetTheInside(), PLANE)),
    ("tight", Sample(LooseBounds(), PLANE)),
    ("tight", Sample(LooseAffineBounds(0.5), PLANE)),
    ("infinite", Sample(NanBounds(0.0), PLANE)),
    ("lipschitz", Sample(TooSmall(2.5), PLANE)),
    ("lipschitz", Sample(TooSmallOnBoxes(2.5), PLANE)),
    ("lipschitz", Sample(TooSmallInL1(torch.ones(3, 2)), ((2, 2),))),
    ("lipschitz", Sample(ForgetsTheOtherFactor(), TWO, spans=((1.0, 5.0), (0.1, 0.2)))),
    ("join", Sample(JoinsByTheLargest(), TWO)),
    ("curvature", Sample(AlwaysConvex(2.5), PLANE)),
    ("curvature", Sample(AffineOnBoxes(0.5), PLANE)),
    ("curvature", Sample(ConvexProduct(), TWO)),
    ("monotonicity", Sample(AlwaysIncreasing(-0.5), PLANE)),
    ("monotonicity", Sample(IncreasingInBoth((1.0, -1.0)), TWO)),
    ("split", Sample(NoSplit(W), PLANE)),
    ("split", Sample(SplitLosesAPart(W), PLANE)),
    ("split", Sample(SplitWithBias(W, weights(3)), PLANE)),
]

BY_NAME = {law.__name__.removeprefix("law_"): law for law in LAWS}


@pytest.mark.parametrize(
    ("name", "sample"), [pytest.param(n, s, id=f"{n}-{type(s.operator).__name__}") for n, s in FAULTS]
)
def test_fault_is_seen(name: str, sample: Sample) -> None:
    with pytest.raises(AssertionError):
        BY_NAME[name](sample)


def test_every_law_has_a_fault() -> None:
    assert {name for name, _ in FAULTS} == set(BY_NAME)


def test_check_operator_names_the_law() -> None:
    with pytest.raises(AssertionError) as caught:
        check_operator(Sample(AlwaysConvex(2.5), PLANE))
    assert caught.value.__notes__ == ["law_curvature of LeakyReLU(2.5)"]


def test_check_operator_skips_what_it_is_told_to() -> None:
    check_operator(Sample(AlwaysConvex(2.5), PLANE, skips={"law_curvature": "planted"}))
