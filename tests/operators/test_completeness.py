"""No operator without a sample, no lowering that is not callable."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import splinegraph.operators
from splinegraph.core.operator import Operator
from splinegraph.operators.registry import LOWERINGS, all_operators
from tests.operators.samples import SAMPLES


def _import_all() -> None:
    for module in pkgutil.iter_modules(splinegraph.operators.__path__, "splinegraph.operators."):
        importlib.import_module(module.name)
    importlib.import_module("splinegraph.core.algebra")


def _subclasses(cls: type[Operator]) -> set[type[Operator]]:
    below = {s for child in cls.__subclasses__() for s in _subclasses(child)}
    return below | set(cls.__subclasses__())


def _names(classes: set[type[Operator]]) -> list[str]:
    return sorted(cls.__qualname__ for cls in classes)


def test_every_operator_has_a_sample_and_every_sample_an_operator() -> None:
    _import_all()
    assert _names(set(all_operators())) == _names({type(sample.operator) for sample in SAMPLES})


def test_every_operator_is_compared_with_torch() -> None:
    compared = {type(sample.operator) for sample in SAMPLES if sample.reference is not None}
    assert _names({type(sample.operator) for sample in SAMPLES} - compared) == []


def test_operators_are_abstract_or_final() -> None:
    _import_all()
    final = set(all_operators())
    extended = {cls for cls in final for sub in _subclasses(cls) if sub.__module__.startswith("splinegraph.")}
    assert _names(extended) == []


def test_abstract_classes_are_extended() -> None:
    _import_all()
    ours = {cls for cls in _subclasses(Operator) if cls.__module__.startswith("splinegraph.")}
    leftovers = {cls for cls in ours if inspect.isabstract(cls) and not cls.__subclasses__()}
    assert _names(leftovers) == []


def test_every_lowering_is_callable_and_names_a_torch_call() -> None:
    _import_all()
    assert LOWERINGS
    for target, builder in LOWERINGS.items():
        assert callable(builder), target
        assert target.count(".") >= 2, target
