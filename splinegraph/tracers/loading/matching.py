"""Putting weights into a module: every name has to fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from splinegraph.errors import TargetError
from splinegraph.tracers.loading.naming import a_few, near

__all__ = ["fill"]

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put in front of every name."""

State = Mapping[str, Any]


def fill(model: nn.Module, state: State, path: Path) -> tuple[str, ...]:
    """Copy weights into a module, in place, and return notes on what was done to their names and types.

    Raises
    ------
    TargetError
        If names are missing or left over, or shapes differ. The module is then as it was.

    Notes
    -----
    Names that differ in a prefix common to all are matched without it. A missing name whose tensor the
    module shares with one that is there needs no value of its own.
    """
    own = model.state_dict(keep_vars=True)
    state, notes = _strip(state, set(own))
    state = _share(model, state)
    plain = set(state) == set(own) and not _misshapen(state, own)
    before = None if plain else {k: v.detach().clone() for k, v in own.items() if _known(v)}
    try:
        with torch.no_grad():
            model.load_state_dict(state, strict=True)
    except Exception as error:
        if before is not None:
            with torch.no_grad():
                for name, value in before.items():
                    own[name].copy_(value)
        raise _mismatch(state, own, path, error) from error
    casts = {
        f"{value.dtype} to {own[k].dtype}".replace("torch.", "")
        for k, value in state.items()
        if isinstance(value, Tensor) and k in own and _known(own[k]) and value.dtype != own[k].dtype
    }
    return (*notes, *(f"weights in {path} were cast from {cast}" for cast in sorted(casts)))


def _known(value: Any) -> bool:
    """Return whether this is a tensor that has its shape already."""
    return isinstance(value, Tensor) and not is_lazy(value)


def _strip(state: State, own: set[str]) -> tuple[State, tuple[str, ...]]:
    """Drop a common prefix: that of a wrapper, or one without which all names fit."""
    notes: tuple[str, ...] = ()
    for _ in range(len(PREFIXES) + 1):
        first = next(iter(state), "")
        prefix = first.partition(".")[0] + "."
        if not all(name.startswith(prefix) for name in state) or any(name.startswith(prefix) for name in own):
            break
        shorter = {name.removeprefix(prefix): value for name, value in state.items()}
        if prefix not in PREFIXES and not set(shorter) <= own:
            break
        state, notes = shorter, (*notes, f"weights: the prefix {prefix!r} of their names was dropped")
    return state, notes


def _share(model: nn.Module, state: State) -> State:
    """Add the names that are missing because their tensor has another name as well, which is there."""
    names: dict[int, list[str]] = {}
    for name, tensor in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(tensor), []).append(name)
    full = dict(state)
    for tied in names.values():
        given = next((name for name in tied if name in state), None)
        if given is not None:
            full.update({name: state[given] for name in tied if name not in state})
    return full


def _misshapen(state: State, own: State) -> dict[str, str]:
    """Return what is said of the shapes that differ, by name."""
    return {
        name: f"{tuple(state[name].shape)} for {tuple(value.shape)}"
        for name, value in own.items()
        if isinstance(state.get(name), Tensor) and _known(value) and state[name].shape != value.shape
    }


def _mismatch(state: State, own: State, path: Path, error: Exception) -> TargetError:
    missing = [name for name in own if name not in state]
    left = [name for name in state if name not in own]
    shapes = _misshapen(state, own)

    def named(name: str) -> str:
        close = near(name, left)[:1]
        return f"{name} (close: {close[0]})" if close else name

    said = []
    if missing:
        said.append(f"{len(missing)} missing ({a_few([named(name) for name in missing[:3]] + missing[3:])})")
    if left:
        said.append(f"{len(left)} left over ({a_few(left)})")
    if shapes:
        listed = a_few(f"{name} {text}" for name, text in shapes.items())
        said.append(f"{len(shapes)} of another shape ({listed})")
    return TargetError(
        f"the weights in {path} do not fit the model", why=", ".join(said) or str(error)[:300],
        remedy="build the model as it was when they were saved",
    )  # fmt: skip
