"""What the layers of a module tell of its input, and whether it runs on a guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.tracers.exporting import quiet
from splinegraph.tracers.loading.naming import reason
from splinegraph.tracers.modes import evaluating

__all__ = ["first_layer", "first_that_runs", "question", "told_by", "try_shape", "vocabulary"]


def first_layer(model: Any) -> tuple[str, nn.Module] | None:
    """Return the first layer with weights, in the order of definition, and its path ('' if it is the model)."""
    if not isinstance(model, nn.Module):
        return None
    for name, part in model.named_modules():
        whole = isinstance(part, nn.MultiheadAttention) or next(part.children(), None) is None
        if whole and next(part.parameters(recurse=False), None) is not None:
            return name, part
    return None


def vocabulary(model: Any) -> int:
    """Return how many tokens the embedding that comes first knows; 0 if another layer comes first."""
    first = first_layer(model)
    return first[1].num_embeddings if first and isinstance(first[1], nn.Embedding | nn.EmbeddingBag) else 0


def told_by(layer: nn.Module) -> tuple[int, ...] | None:
    """Return the shape of one sample that a layer asks for, if it leaves nothing open."""
    if isinstance(layer, nn.Linear | nn.BatchNorm1d):
        return (layer.in_features if isinstance(layer, nn.Linear) else layer.num_features,)
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        return tuple(layer.normalized_shape)
    return None


def question(name: str, layer: nn.Module) -> tuple[str, str]:
    """Return what a first layer leaves open, and an example of the option that answers it."""
    kind = f"its first layer, {name} ({type(layer).__name__})," if name else f"a {type(layer).__name__}"
    channels = getattr(layer, "in_channels", None)
    for axes, sizes, named in ((1, "128", "length"), (2, "28,28", "height and width"), (3, "8,32,32", "sizes")):
        if type(layer).__name__.endswith(f"{axes}d") and isinstance(channels, int):
            sizes = "224,224" if (axes, channels) == (2, 3) else sizes
            return (
                f"{kind} takes {channels} channel{'s' * (channels != 1)}, which leaves the {named} open",
                f"{channels},{sizes}",
            )
    if isinstance(layer, nn.RNNBase):
        return (
            f"{kind} takes {layer.input_size} features, which leaves the number of steps open",
            f"20,{layer.input_size}",
        )
    if isinstance(layer, nn.MultiheadAttention):
        return (
            f"{kind} takes {layer.embed_dim} features, which leaves the number of steps open",
            f"20,{layer.embed_dim}",
        )
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return f"{kind} takes token ids, which leaves their number open", "16"
    return f"{kind} does not tell it", "1,28,28"


def _failure(model: Any, args: Sequence[Any]) -> str:
    """Run a module once in eval mode and return why it fails, '' if it does not."""
    if not isinstance(model, nn.Module):
        return ""
    copies = [x.clone() if isinstance(x, Tensor) else x for x in args]  # which the model may change
    try:
        with evaluating(model), torch.no_grad(), quiet():
            model(*copies)
    except Exception as error:  # noqa: BLE001  # whatever it is, this guess is wrong
        return reason(error)
    return ""


def first_that_runs(model: Any, guesses: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the first guess that the model runs on, else the first of all: tracing tells why it fails."""
    if len(guesses) == 1:
        return guesses[0]
    return next((guess for guess in guesses if not _failure(model, guess)), guesses[0])


def try_shape(model: nn.Module, layer: nn.Module, guess: Tensor) -> str:
    """Return why `guess` is not what comes into `layer` when the model runs on it, '' if it is."""
    met: list[Any] = []
    hook = layer.register_forward_pre_hook(lambda _, args: met.append(args[0].shape if args else None))
    try:
        why = _failure(model, (guess,))
    finally:
        hook.remove()
    if why:
        return f"the model fails on shape {tuple(guess.shape)}, {why}"
    if met[:1] != [guess.shape]:
        return "another part of the model comes first"
    return ""
