"""The terms of the objective, one function each: means over the rows that they are given."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.errors import ShapeError

__all__ = [
    "Form",
    "Reduction",
    "Target",
    "class_balance",
    "consistency",
    "entropy",
    "layer_error",
    "reconstruction_error",
    "shifted",
]

Reduction: TypeAlias = Literal["mean", "sum"]
Form: TypeAlias = Literal["squared", "cosine"]
Target: TypeAlias = Literal["detached", "normalized"]


def reconstruction_error(
    reconstruction: Tensor, x: Tensor, *, form: Form = "squared", reduction: Reduction = "mean"
) -> Tensor:
    r"""Return how far the reconstructions of a batch are from it: R of Eq 80, averaged over the batch.

    .. math:: R(x) = \| A[x]^T f(x) - x \|^2

    Parameters
    ----------
    reconstruction, x : Tensor of shape (B, *n)
    form : {'squared', 'cosine'}
        The squared error, or 1 - cos of the angle between the two, which does not depend on their lengths.
    reduction : {'mean', 'sum'}
        Of the squared error over the entries of a sample. The paper prints the sum; the mean keeps its size beside
        cross entropy, whatever the size of the images, and trains better by far.

    Returns
    -------
    Tensor, a scalar
    """
    r, x = _rows(reconstruction), _rows(x)
    if form == "cosine":
        return (1 - F.cosine_similarity(r, x, dim=1)).mean()
    squares = (r - x).square()
    return squares.mean() if reduction == "mean" else squares.sum(1).mean()


def layer_error(
    reconstruction: Tensor, z: Tensor, *, target: Target = "detached", reduction: Reduction = "mean"
) -> Tensor:
    r"""Return how far the reconstructions of a layer's values are from them: R^(l) of Eq 84.

    .. math:: R^{(l)}(x) = \| A^{(l)}[x]^T f(x) - z^{(l)}(x) \|^2

    Parameters
    ----------
    reconstruction, z : Tensor of shape (B, *h)
    target : {'detached', 'normalized'}
        z depends on the parameters, and as printed the term is smallest where z vanishes. Either z is taken as a
        constant, or the error of each sample is divided by its ||z||^2, which makes it 1 there.
    reduction : {'mean', 'sum'}
        Over the entries of a sample; a normalized error does not depend on it.

    Returns
    -------
    Tensor, a scalar
    """
    if target == "detached":
        return reconstruction_error(reconstruction, z.detach(), reduction=reduction)
    r, z = _rows(reconstruction), _rows(z)
    energy = z.square().sum(1)
    tiny = torch.finfo(z.dtype).eps ** 2  # a dead layer divides by no zero
    return ((r - z).square().sum(1) / energy.clamp_min(tiny)).mean()


def entropy(logits: Tensor) -> Tensor:
    r"""Return the mean entropy of the predictions: E of Eq 81, in nats, with 0 log 0 = 0.

    Parameters
    ----------
    logits : Tensor of shape (B, C)

    Returns
    -------
    Tensor, a scalar in [0, log C]
    """
    log_p = _log_probabilities(logits)
    return -(log_p.exp() * log_p).sum(1).mean()


def class_balance(logits: Tensor) -> Tensor:
    r"""Return KL(mean prediction || uniform), which keeps entropy from sending all inputs to a few classes.

    .. math:: \sum_c \bar p_c \log \bar p_c + \log C

    Parameters
    ----------
    logits : Tensor of shape (B, C)

    Returns
    -------
    Tensor, a scalar in [0, log C]

    Notes
    -----
    Where torch.distributed runs, the mean is over the batches of all processes, and so is its gradient once
    DistributedDataParallel has averaged it (batches of one size on all processes).
    """
    # in logarithms, so that the gradient of a class that is nearly empty stays finite
    log_mean = _over_processes(_log_probabilities(logits).logsumexp(0) - math.log(len(logits)))
    return (log_mean.exp() * log_mean).sum() + math.log(logits.shape[1])


def consistency(logits: Tensor, shifted_logits: Tensor, *, confidence: float = 0.95) -> Tensor:
    """Return the cross entropy between confident predictions and those for the same inputs shifted.

    Parameters
    ----------
    logits, shifted_logits : Tensor of shape (B, C)
        The first are the teacher: no gradient goes through them.
    confidence : float
        Predictions of a smaller probability teach nothing; they count as zeros in the mean.

    Returns
    -------
    Tensor, a scalar

    References
    ----------
    .. [1] K. Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence",
       NeurIPS 2020.
    """
    probability, label = F.softmax(wide(logits.detach()), 1).max(1)
    errors = F.cross_entropy(wide(shifted_logits), label, reduction="none")
    found: Tensor = (errors * (probability >= confidence)).mean()
    return found


def shifted(x: Tensor, most: int | None = None) -> Tensor:
    """Return every sample moved by its own random whole number of pixels, up to `most` along each spatial axis.

    Parameters
    ----------
    x : Tensor of shape (B, channels, *sizes)
    most : int, optional
        Default: a 14th of the shortest side, at least 1.

    Notes
    -----
    The entries at the border are repeated. Draws from torch's global CPU generator.

    Raises
    ------
    ShapeError
        If there is no axis to shift along, or nothing of an image would be left.
    """
    if x.dim() < 3:
        raise ShapeError(
            f"inputs of shape {tuple(x.shape[1:])} cannot be shifted",
            remedy="give images of shape (channels, height, width), or set consistency=0",
        )
    side = min(x.shape[2:])
    most = max(1, side // 14) if most is None else most
    if most >= side > 1:
        raise ShapeError(
            f"shift={most} for images of {'x'.join(map(str, x.shape[2:]))}",
            why="nothing of an image would be left", remedy=f"give at most {side - 1}",
        )  # fmt: skip
    for axis in range(2, x.dim()):
        size = x.shape[axis]
        moves = torch.randint(-most, most + 1, (x.shape[0], 1)).to(x.device)
        index = (torch.arange(size, device=x.device) + moves).clamp(0, size - 1)
        view = [x.shape[0], *(size if a == axis else 1 for a in range(1, x.dim()))]
        x = x.gather(axis, index.view(view).expand(x.shape))
    return x


def wide(t: Tensor) -> Tensor:
    """Return a tensor in float32 at least: losses of half precision lose their digits."""
    return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t


def _rows(t: Tensor) -> Tensor:
    return wide(t).flatten(1)


def _log_probabilities(logits: Tensor) -> Tensor:
    """Return log softmax, with a finite number in place of log 0, which makes 0 log 0 = 0 without a gradient."""
    log_p = F.log_softmax(wide(logits), 1)
    return log_p.clamp_min(torch.finfo(log_p.dtype).min / 2)


def _over_processes(log_mean: Tensor) -> Tensor:
    """Return the logarithm of the mean over all processes, with the gradient of this one's share.

    DistributedDataParallel then averages the shares.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return log_mean
    own = log_mean.detach()
    all_means = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(all_means, own)
    total = torch.stack(all_means).logsumexp(0) - math.log(len(all_means))
    return total + (own - total).exp() * (log_mean - own)
