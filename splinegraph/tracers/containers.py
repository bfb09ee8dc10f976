"""What models return: tensors inside of dataclasses and other containers that torch does not look into."""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from splinegraph.errors import TraceError

__all__ = ["plain", "with_plain_outputs"]

_FLAT = (Tensor, int, float, complex, str, bytes, type(None))


def plain(tree: Any) -> Any:
    """Return a model's result with dataclasses, mappings and sequences of any type as tuples and dicts.

    Raises
    ------
    TraceError
        If an object of another type holds tensors.
    """
    return pytree.tree_map(_opened, tree)


def _opened(leaf: Any) -> Any:
    if isinstance(leaf, _FLAT):
        return leaf
    if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
        return plain(tuple(getattr(leaf, f.name) for f in dataclasses.fields(leaf)))
    if isinstance(leaf, Mapping):
        return plain(dict(leaf))
    if isinstance(leaf, tuple | list):
        return plain(tuple(leaf))
    if any(isinstance(x, Tensor) for x in pytree.tree_leaves(getattr(leaf, "__dict__", None))):
        raise TraceError(
            f"the model returns a {type(leaf).__name__}", why="a trace cannot know which of its tensors matter",
            remedy="return tensors, or tuples, dicts or dataclasses of them",
        )  # fmt: skip
    return leaf


def with_plain_outputs(model: nn.Module, result: Any) -> nn.Module:
    """Return the model, or a copy that shares everything with it and returns its results `plain`.

    Parameters
    ----------
    result : Any
        What the model returned.
    """
    if all(isinstance(leaf, _FLAT) for leaf in pytree.tree_leaves(result)):
        return model
    plain(result)
    twin = copy.copy(model)
    twin._forward_hooks = OrderedDict(model._forward_hooks)
    twin.register_forward_hook(lambda module, args, output: plain(output))
    return twin
