"""Samples with their templates or reconstructions as small images, as many as a report has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from splinegraph.analyses.encoding.inverse import Inverse
from splinegraph.analyses.report.images import ROOM, Image, image, image_shape, image_size
from splinegraph.analyses.report.values import plural
from splinegraph.analyses.templates.templates import Templates

__all__ = [
    "EncodingGallery",
    "PicturedSample",
    "PicturedTemplate",
    "ReconstructedSample",
    "Reconstruction",
    "TemplateGallery",
    "encoding_gallery",
    "picked",
    "template_gallery",
]  # fmt: skip

SHOWN = 6
"""Most samples in a gallery."""


@dataclass(frozen=True)
class PicturedTemplate:
    """The template of one output at one sample: its score is matching + bias.

    Parameters
    ----------
    output : int
    score, matching, bias : float
        f(x)_c = <A_c, x> + b_c.
    cosine : float or None
        Of the template to x; None where one is zero.
    template : Image
        A_c, in the shape of the input.
    """

    output: int
    score: float
    matching: float
    bias: float
    cosine: float | None
    template: Image


@dataclass(frozen=True)
class PicturedSample:
    """A sample with templates: of the largest score, the second largest, and of its label where that is another.

    Parameters
    ----------
    sample : int
    label : int or None
    output : int
        The largest score.
    x : Image
    rows : tuple of PicturedTemplate
    """

    sample: int
    label: int | None
    output: int
    x: Image
    rows: tuple[PicturedTemplate, ...]


@dataclass(frozen=True)
class TemplateGallery:
    """Some samples with their templates.

    Parameters
    ----------
    samples : tuple of PicturedSample
        Those with a label other than the largest score first, then one of each class, then others; none if there is
        nothing to show.
    left_out : str
        What is not shown, and why.
    """

    samples: tuple[PicturedSample, ...]
    left_out: str


@dataclass(frozen=True)
class Reconstruction:
    """A sample as it comes back.

    Parameters
    ----------
    name : {'adjoint', 'least_squares'}
        A^T f(x), and the projection of x to the span of the templates.
    error : float or None
        |x - u|^2 / |x|^2; None if x is zero and u is not.
    image : Image
    """

    name: str
    error: float | None
    image: Image


@dataclass(frozen=True)
class ReconstructedSample:
    """A sample with its reconstructions.

    Parameters
    ----------
    sample : int
    x : Image
    rows : tuple of Reconstruction
    """

    sample: int
    x: Image
    rows: tuple[Reconstruction, ...]


@dataclass(frozen=True)
class EncodingGallery:
    """The chosen samples with their reconstructions.

    Parameters
    ----------
    samples : tuple of ReconstructedSample
    left_out : str
        What is not shown, and why.
    """

    samples: tuple[ReconstructedSample, ...]
    left_out: str


def template_gallery(found: Templates, labels: Tensor | None, at: Sequence[int]) -> TemplateGallery:
    """Return the gallery of templates of all classes, of samples `at` and their labels."""
    shape = tuple(found.rows.shape[2:])
    why = _unshown(shape)
    if why:
        return TemplateGallery((), why)
    order, held, room = picked(found.scores, labels), [], ROOM
    for i in order[:SHOWN]:
        outputs = _outputs(found.scores[i], None if labels is None else int(labels[i]))
        room -= (1 + len(outputs)) * image_size(shape)
        if room < 0:
            break
        made = _pictured(found, i, outputs, None if labels is None else int(labels[i]))
        held += [] if made is None else [replace(made, sample=at[i])]
    return TemplateGallery(tuple(held), _rest(len(held), len(order), shape))


def picked(scores: Tensor, labels: Tensor | None) -> list[int]:
    """Return samples in the order in which they are worth showing.

    Those that are misclassified come first, then the first one of each class, then the others.
    """
    largest = scores.argmax(1).cpu()
    known = largest if labels is None else labels.cpu()
    wrong = (largest != known).nonzero()[:, 0].tolist()
    first: dict[int, int] = {}
    for i, label in enumerate(known.tolist()):
        first.setdefault(label, i)
    return list(dict.fromkeys([*wrong, *sorted(first.values()), *range(len(scores))]))


def _outputs(scores: Tensor, label: int | None) -> list[int]:
    best: list[int] = scores.topk(min(2, len(scores))).indices.tolist()
    winner = int(scores.argmax())
    return list(dict.fromkeys([winner, *best[:2], *([] if label is None else [label])]))


def _pictured(found: Templates, i: int, outputs: Sequence[int], label: int | None) -> PicturedSample | None:
    x, rows = image(found.map.inputs[0][i]), []
    for c in outputs:
        template, cosine = image(found.rows[i, c]), float(found.cosines[i, c])
        if template is not None:
            score, matching, bias = (float(t[i, c]) for t in (found.scores, found.values, found.biases))
            rows.append(PicturedTemplate(c, score, matching, bias, cosine if cosine == cosine else None, template))
    return None if x is None or not rows else PicturedSample(i, label, outputs[0], x, tuple(rows))


def encoding_gallery(at: Sequence[int], x: Tensor, adjoint: Inverse, solved: Inverse) -> EncodingGallery:
    """Return the gallery of samples `at`, of inputs x, and their reconstructions."""
    shape = tuple(x.shape[1:])
    why = _unshown(shape)
    if why:
        return EncodingGallery((), why)
    fit = max(0, ROOM // (3 * image_size(shape)))
    held = []
    for i, sample in enumerate(at[: min(len(x), fit)]):
        shown, rows = image(x[i]), []
        for inverse in (adjoint, solved):
            back, error = image(inverse.reconstruction[i]), float(inverse.relative[i])
            if back is not None:
                rows.append(Reconstruction(inverse.kind, error if error < float("inf") else None, back))
        if shown is not None and rows:
            held.append(ReconstructedSample(sample, shown, tuple(rows)))
    return EncodingGallery(tuple(held), _rest(len(held), len(x), shape))


def _unshown(shape: Sequence[int]) -> str:
    """Return why inputs of a shape are not shown; '' if they are."""
    size = "×".join(map(str, shape))
    if image_shape(shape) is None:
        return f"inputs of shape {size or '()'} are not shown: up to three axes are"
    return f"inputs of {size} are too large to be shown" if 3 * image_size(shape) > ROOM else ""


def _rest(shown: int, known: int, shape: Sequence[int]) -> str:
    if shown >= known:
        return ""
    why = "" if shown >= SHOWN else f": images of {'×'.join(map(str, shape))} take room"
    return f"{known - shown} of {plural(known, 'sample')} that were worked out are not shown{why}"
