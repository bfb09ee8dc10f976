"""Bounds: what they refuse, and how they are written."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from splinegraph.core.bound import Bound


@pytest.mark.parametrize(
    ("ends", "kind", "match"),
    [
        ((2.0, 1.0), "bracket", "no number"),
        ((math.nan, 1.0), "lower", "no number"),
        ((0.0, math.nan), "upper", "no number"),
        ((1.0, 2.0), "exact", "one value"),
        ((1.0, 2.0), "sharp", "give one of"),
    ],
)
def test_what_cannot_be_is_refused(ends: tuple[float, float], kind: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Bound(*ends, kind)


def test_huge_integers_stay_exact() -> None:
    bound = Bound(1, 10**400 + 7, "upper")
    assert bound.upper - 10**400 == 7
    assert bound.log10 == pytest.approx(400)
    assert bound.gap == 10**400 + 6
    plain = json.loads(json.dumps(bound.to_dict(), allow_nan=False))
    assert int(plain["upper"]) == bound.upper
    assert plain["lower"] == 1
    assert "10^400.00" in repr(bound)


def test_infinite_ends_are_null() -> None:
    plain = Bound(0.5, math.inf, "lower").to_dict()
    json.dumps(plain, allow_nan=False)
    assert (plain["lower"], plain["upper"], plain["log10_upper"]) == (0.5, None, None)


def test_a_bound_contains_what_is_between() -> None:
    bound = Bound(-1.0, 1.0, "bracket")
    assert [bound.contains(v) for v in (-1.0, 0.3, 1.1)] == [True, True, False]


def test_certificates_are_asked() -> None:
    class Proof:
        def __init__(self, holds: bool) -> None:
            self.holds = holds

        def verify(self) -> bool:
            return self.holds

    assert Bound(0, 1, "upper", certificate=Proof(True)).verify()
    assert not Bound(0, 1, "upper", certificate=Proof(False)).verify()
    with pytest.raises(ValueError, match="no certificate"):
        Bound(0, 1, "upper").verify()
