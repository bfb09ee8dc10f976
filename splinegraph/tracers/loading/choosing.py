"""Which object of a Python module is the model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import nn
from torch.export import ExportedProgram
from torch.jit import ScriptModule
from torch.nn.modules.loss import _Loss

from splinegraph.errors import TargetError
from splinegraph.tracers.loading.naming import Place, a_few, line_of, near, reason

__all__ = ["call", "choose", "find", "make"]

Model = nn.Module | ExportedProgram
Namespace = Mapping[str, Any]

MODELS = ("model", "net")
MAKERS = ("get_model", "build_model")
"""Names that are looked for, in this order, where the target names none."""

_NAME_ONE = "name a module, or a class or function that makes one without arguments"


def choose(namespace: Namespace, place: Place) -> tuple[str, str]:
    """Return the name of the model where the user gave none, and a note on the choice.

    `model`, `net`, `get_model()` or `build_model()`, else the only instance of nn.Module, else the only
    class of them defined here that takes no arguments.

    Raises
    ------
    TargetError
        If none of these is there, or several are: with the candidates, and the command that names one.
    """
    for name in (*MODELS, *MAKERS):
        value = namespace.get(name)
        if (name in MODELS and isinstance(value, Model)) or (callable(value) and not _required(value)):
            return name, ""
    modules, classes = _candidates(namespace)
    free = [name for name in classes if not _required(namespace[name])]
    found = modules or free
    if len(found) == 1:
        return found[0], f"model: {found[0]!r}, the only one in {place.name}"
    raise _undecided(namespace, modules, classes, place)


def _candidates(namespace: Namespace) -> tuple[list[str], list[str]]:
    """Return the names of the models in a module, and of the classes of models defined in it."""
    modules, classes, seen = [], [], set[int]()
    for name, value in namespace.items():
        if id(value) in seen or isinstance(value, _Loss):
            continue
        if isinstance(value, Model):
            seen.add(id(value))
            modules.append(name)
        own = isinstance(value, type) and value.__module__ == namespace.get("__name__")
        if own and issubclass(value, nn.Module) and not inspect.isabstract(value):
            seen.add(id(value))
            classes.append(name)
    return modules, classes


def _required(value: Any) -> list[str]:
    """Return the names of the arguments that a callable cannot do without."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # written in C
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional]


def _described(namespace: Namespace, names: list[str]) -> str:
    def describe(name: str) -> str:
        value = namespace[name]
        if isinstance(value, Model):
            return f"{name} (module)"
        required = _required(value)
        return f"{name} (class" + (f", needs {', '.join(required)})" if required else ")")

    return a_few(map(describe, names))


def _undecided(namespace: Namespace, modules: list[str], classes: list[str], place: Place) -> TargetError:
    names = [*modules, *classes]
    if not names:
        return _nothing(namespace, place)
    usable = [*modules, *(name for name in classes if not _required(namespace[name]))]
    if not usable:
        return TargetError(
            f"{place.name} holds no model that can be built without arguments",
            why=f"it has {_described(namespace, names)}", remedy=place.build(names[0], _required(namespace[names[0]])),
        )  # fmt: skip
    return TargetError(
        f"{place.name} holds no `model` and no `net`, but several candidates",
        why=f"it has {_described(namespace, names)}", remedy=f"name one: {place.retype(usable[0])}",
    )  # fmt: skip


def _nothing(namespace: Namespace, place: Place) -> TargetError:
    """Say that there is no model, and why what has the right name is none."""
    name = next((n for n in (*MODELS, *MAKERS) if n in namespace), "")
    why = "it makes no torch.nn.Module"
    if name:
        value = namespace[name]
        needs = f"needs {', '.join(_required(value))}" if callable(value) else f"is a {type(value).__name__}"
        why = f"{name!r} {needs}"
    return TargetError(f"{place.name} holds no model", why=why, remedy=place.set_model)


def find(module: ModuleType, attribute: str, place: Place, *, models: bool = True) -> Any:
    """Return the object of a dotted name.

    Raises
    ------
    TargetError
        If there is none, with a close name or the candidates.
    """
    first, *rest = attribute.split(".")
    if not _has(module, first, place):
        raise _no_attribute(vars(module), first, place, models=models)
    value, path = getattr(module, first), first
    for name in rest:
        try:
            value = getattr(value, name)
        except AttributeError as error:
            close = near(name, (n for n in [*_children(value), *dir(value)] if not n.startswith("_")))[:1]
            remedy = f"did you mean: {place.retype(f'{path}.{close[0]}')}" if close else ""
            why = f"it has {a_few(_children(value))}" if _children(value) else ""
            raise TargetError(f"{path!r} in {place.name} has no attribute {name!r}", why=why, remedy=remedy) from error
        except Exception as error:
            raise TargetError(
                f"{path}.{name} in {place.name} fails", where=line_of(error), why=reason(error)
            ) from error
        path = f"{path}.{name}"
    return value


def _has(module: ModuleType, name: str, place: Place) -> bool:
    """Return whether a module has an attribute; it may import it only now."""
    try:
        return hasattr(module, name)
    except Exception as error:
        raise TargetError(f"{place.name}.{name} fails", where=line_of(error), why=reason(error)) from error


def _children(value: Any) -> list[str]:
    return [name for name, _ in value.named_children()] if isinstance(value, nn.Module) else []


def _no_attribute(namespace: Namespace, name: str, place: Place, *, models: bool) -> TargetError:
    modules, classes = _candidates(namespace) if models else ([], [])
    found = [*modules, *classes]
    others = (n for n, v in namespace.items() if not n.startswith("_") and (callable(v) or not models))
    close = (near(name, found) or near(name, others))[:1]
    why = f"it has {_described(namespace, found)}" if found else ""
    if close:
        remedy = f"did you mean: {place.retype(close[0])}"
    else:
        why = why or ("it makes no torch.nn.Module" if models else "")
        remedy = f"name one: {place.retype(found[0])}" if found else place.set_model if models else ""
    return TargetError(f"{place.name} has no attribute {name!r}", why=why, remedy=remedy)


def make(value: Any, attribute: str, place: Place) -> Model:
    """Return the model that an object is, or that it makes when it is called.

    Raises
    ------
    TargetError
        If it needs arguments, fails or makes something else.
    """
    expression, name = attribute, f"{attribute!r} in {place.name}"
    if not isinstance(value, Model) and callable(value):
        expression, name = f"{attribute}()", f"{attribute}() in {place.name}"
        value = call(value, attribute, place, "model", _NAME_ONE)
    if not isinstance(value, Model):
        raise _no_model(value, expression, name)
    if isinstance(value, ScriptModule):
        why, remedy = "such code cannot be traced", "name the module it was made of"
        raise TargetError(f"{name} is compiled by torch.jit", why=why, remedy=remedy)
    if isinstance(value, nn.Module) and type(value).forward is nn.Module.forward and "forward" not in vars(value):
        first = next(iter(_children(value)), "")
        named = f"{attribute}.{first}" if expression == attribute else f"`model = {expression}[{first!r}]`"
        raise TargetError(
            f"{name} is a {type(value).__name__} without `forward`", why="it only holds other modules",
            remedy=f"name one of them, such as {named}" if first else "give it a `forward`",
        )  # fmt: skip
    return value


def call(value: Any, attribute: str, place: Place, variable: str, remedy: str) -> Any:
    """Return what a class or function makes without arguments.

    Raises
    ------
    TargetError
        If it needs some, or fails.
    """
    required = _required(value)
    if required:
        raise TargetError(
            f"{attribute} in {place.name} needs {', '.join(required)}", why="it is called without arguments",
            remedy=place.build(attribute, required, variable=variable),
        )  # fmt: skip
    try:
        return value()
    except (Exception, SystemExit) as error:
        what = f"{attribute}() in {place.name} fails"
        raise TargetError(what, where=line_of(error), why=reason(error), remedy=remedy) from error


def _no_model(value: Any, expression: str, name: str) -> TargetError:
    kind = type(value).__name__
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    keys = [key for key, item in pairs if isinstance(item, Model)]
    if keys:
        return TargetError(
            f"{name} is a {kind} with {len(value)} entries", why="one model is analyzed at a time",
            remedy=f"give one a name: `model = {expression}[{keys[0]!r}]`",
        )  # fmt: skip
    weights = isinstance(value, Mapping) and "a dictionary of weights has no architecture"
    article = "an" if kind[0] in "aeiouAEIOU" else "a"
    return TargetError(f"{name} is {article} {kind}", why=weights or "no torch.nn.Module", remedy=_NAME_ONE)
