"""The example inputs of a trace: where they carry the batch, and variants of them to check with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from splinegraph.errors import ShapeError

__all__ = ["Example"]


def _key(part: Any) -> str:
    return str(next(getattr(part, a) for a in ("key", "idx", "name") if hasattr(part, a)))


def _holds_tensors(leaf: Any) -> bool:
    fields = getattr(leaf, "__dict__", {}).values()
    return not isinstance(leaf, Tensor) and any(isinstance(x, Tensor) for x in fields)


@dataclass(frozen=True)
class Example:
    """Arguments of one call of a model.

    Parameters
    ----------
    args, kwargs
        As given by the user.
    axes : nested like (args, kwargs)
        For every leaf the axis of the batch, -1 for a leaf without one.
    batch : int
        The batch size given.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    axes: Any
    batch: int

    @classmethod
    def of(cls, args: Any, kwargs: Mapping[str, Any] | None, batch_dim: int) -> Example:
        """Read the user's arguments; the first tensor tells the batch size."""
        if not isinstance(args, Tensor | tuple | list):
            raise ShapeError(
                f"the example input is a {type(args).__name__}",
                remedy="give a tensor, or a tuple of the model's arguments",
            )
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise ShapeError(
                f"the named arguments are a {type(kwargs).__name__}",
                remedy="give several inputs as one tuple: trace(model, (a, b))",
            )
        args = (args,) if isinstance(args, Tensor) else tuple(args)
        named = dict(kwargs or {})
        leaves = pytree.tree_leaves((args, named))
        closed = next((x for x in leaves if _holds_tensors(x)), None)
        if closed is not None:
            raise ShapeError(
                f"an argument is a {type(closed).__name__}, in which torch does not look for tensors",
                remedy="register it with torch.export.register_dataclass, or wrap the model to take tensors",
            )
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if not tensors:
            raise ShapeError("there is no example input", remedy="give a tensor, or a tuple of the model's arguments")
        first = tensors[0]
        if first.dim() <= batch_dim:
            raise ShapeError(
                f"the example input has shape {tuple(first.shape)} and no axis {batch_dim} for the batch",
                remedy="add a batch axis, such as x[None]",
            )
        batch = first.shape[batch_dim]
        if batch == 0:
            raise ShapeError("the batch is empty", remedy="give at least one sample")
        bad = next((t for t in tensors if t.is_floating_point() and not bool(t.isfinite().all())), None)
        if bad is not None:
            raise ShapeError("the example input holds NaN or infinite values", remedy="give finite numbers")

        def axis(leaf: Any) -> int:
            carries = isinstance(leaf, Tensor) and leaf.dim() > batch_dim and leaf.shape[batch_dim] == batch
            return batch_dim if carries else -1

        return cls(args, named, pytree.tree_map(axis, (args, named)), batch)

    def _map(self, change: Callable[[int, Tensor, int], Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        leaves, spec = pytree.tree_flatten((self.args, self.kwargs))
        axes = enumerate(zip(leaves, pytree.tree_leaves(self.axes), strict=True))
        new = [change(i, x, axis) if isinstance(x, Tensor) and axis >= 0 else x for i, (x, axis) in axes]
        result: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_unflatten(new, spec)
        return result

    def at(
        self, count: int, *, noise: int | None = None, moved: Collection[int] = ()
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments for `count` samples: the first one given, repeated.

        With a seed `noise`, the samples after the first of the flat arguments `moved` are moved at
        random: half of them around the first, half of them anywhere.
        """
        generator = None if noise is None else torch.Generator().manual_seed(noise)

        def change(place: int, x: Tensor, axis: int) -> Tensor:
            rows = x.narrow(axis, 0, 1).expand(*(count if i == axis else n for i, n in enumerate(x.shape))).clone()
            if generator is None or place not in moved:
                return rows
            random = torch.randn(rows.shape, generator=generator, dtype=torch.float64).to(rows)
            index = torch.arange(count, device=x.device).reshape(-1, *(1,) * (x.dim() - axis - 1))
            return torch.where(index == 0, rows, torch.where(index % 2 == 1, rows + random, random))

        return self._map(change)

    def other(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments for one sample that is not the one given, where they are floating point."""
        floats = [i for i, x in enumerate(self.leaves(self.at(1))) if isinstance(x, Tensor) and x.is_floating_point()]
        axes = pytree.tree_leaves(self.axes)
        leaves, spec = pytree.tree_flatten(self.at(2, noise=7, moved=floats))
        last = [x.narrow(axis, 1, 1) if axis >= 0 else x for x, axis in zip(leaves, axes, strict=True)]
        result: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_unflatten(last, spec)
        return result

    def flat(self) -> Example:
        """Return the same example with all leaves as positional arguments."""
        return Example(tuple(self.leaves((self.args, self.kwargs))), {}, (tuple(self.flat_axes), {}), self.batch)

    def names(self, model: nn.Module) -> list[str]:
        """Return a name for every flat argument, such as 'x', or 'states_0' inside of a container."""
        parameters = inspect.signature(model.forward).parameters.values()
        labels = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        rest = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "args")
        labels += [f"{rest}_{i}" for i in range(len(self.args) - len(labels))]
        trees = {**dict(zip(labels, self.args, strict=False)), **self.kwargs}
        paths = [path for path, _ in pytree.tree_leaves_with_path(trees)]
        return [re.sub(r"\W+", "_", "_".join(_key(k) for k in path)) for path in paths]

    def leaves(self, tree: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Any]:
        """Return the flat arguments, in the order in which export sees them."""
        flat: list[Any] = pytree.tree_leaves(tree)
        return flat

    @property
    def flat_axes(self) -> list[int]:
        """The batch axis of every flat argument, -1 where it has none."""
        flat: list[int] = pytree.tree_leaves(self.axes)
        return flat
