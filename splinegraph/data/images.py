"""A folder of images, whose sub-folders are classes."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from splinegraph.data.arrays import Array
from splinegraph.data.source import DataSource, Piece
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SUFFIXES", "ImageFolder", "Mode", "open_folder"]

SUFFIXES = {
    ".bmp": "BMP", ".gif": "GIF", ".jpeg": "JPEG", ".jpg": "JPEG", ".pbm": "PPM", ".pgm": "PPM", ".png": "PNG",
    ".ppm": "PPM", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP",
}  # fmt: skip
"""Endings of image files and their formats; no other format is tried, since some of Pillow's run programs."""

GRAY = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}
"""Modes of one channel."""

LISTED = 3
"""How many names a note lists."""

Mode = Literal["RGB", "L"]


class ImageFolder(DataSource):
    """Images from files, as float32 in [0, 1] of shape (channels, height, width).

    Parameters
    ----------
    folder : Path
    files : sequence of Path
    labels : sequence of int or None
    classes : tuple of str or None
    mode : {'RGB', 'L'}, optional
        Default: what the first image is.
    size : (height, width), optional
        Scale all images to this size. Default: the first image's, and another one is an error.
    notes : sequence of str
    """

    def __init__(
        self, folder: Path, files: Sequence[Path], labels: Sequence[int] | None, classes: tuple[str, ...] | None, *,
        mode: Mode | None = None, size: tuple[int, int] | None = None, notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._files, self._scaled = tuple(files), size is not None
        self._labels = None if labels is None else torch.tensor(labels, dtype=torch.int64)
        with _opened(files[0]) as first:
            self._mode = mode or ("L" if first.mode in GRAY else "RGB")
            self._only_gray = mode is None and self._mode == "L"
            self._size = size or (first.height, first.width)
            own = [f"images are scaled to {_text(self._size)} (height x width)"] * self._scaled
            if first.mode != self._mode and not (self._mode == "L" and first.mode in GRAY):
                own.append(f"the images are {first.mode} and were converted to {self._mode}")
        channels = 3 if self._mode == "RGB" else 1
        super().__init__(
            f"folder {folder}", [(channels, *self._size)], [torch.float32], length=len(files),
            labeled=labels is not None, classes=classes, notes=[*notes, *own],
        )  # fmt: skip

    def _pieces(self, size: int) -> Iterator[Piece]:
        for start in range(0, len(self), size):
            yield self._read(range(start, min(start + size, len(self))))

    def _rows(self, indices: Sequence[int]) -> Piece:
        return self._read(indices)

    def _read(self, indices: Sequence[int]) -> Piece:
        images = torch.stack([self._image(self._files[i]) for i in indices])
        return (images,), None if self._labels is None else self._labels[list(indices)]

    def _image(self, path: Path) -> Tensor:
        with _opened(path) as image:
            found, first = (image.height, image.width), self._files[0]
            if found != self._size and not self._scaled:
                raise DataError(
                    f"{path} is {_text(found)} (height x width)", why=f"{first} is {_text(self._size)}",
                    remedy="give images of one size, or scale them: image_size (--image-size on the command line)",
                )  # fmt: skip
            if self._only_gray and image.mode not in GRAY:
                raise DataError(
                    f"{path} is in color", why=f"{first} is gray",
                    remedy="give images of one kind, or image_mode RGB or L",
                )  # fmt: skip
            pixels = _pixels(image, self._mode, self._size if found != self._size else None)
        return torch.from_numpy(np.ascontiguousarray(pixels.reshape(*self._size, -1).transpose(2, 0, 1)))


def _pixels(image: Image, mode: Mode, size: tuple[int, int] | None) -> Array:
    """Return an image as numbers in [0, 1], height first."""
    from PIL import Image as pil

    if image.mode.startswith(("I;32", "F")) or image.mode == "I":
        raise ValueError("it holds numbers of 32 bits, whose range is not known")
    if size is not None:
        image = image.convert("F" if image.mode.startswith("I;16") else mode)
        image = image.resize(size[::-1], pil.Resampling.BILINEAR)
        top = 65535 if image.mode == "F" else 255
    elif image.mode.startswith("I;16"):
        top = 65535
    else:
        image, top = image.convert(mode), 255
    pixels = np.asarray(image, dtype=np.float32) / np.float32(top)
    return np.repeat(pixels[..., None], 3, axis=2) if mode == "RGB" and pixels.ndim == 2 else pixels


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """Open an image; what goes wrong there and inside the block, where it is decoded, names the file."""
    from PIL import Image as pil
    from PIL import UnidentifiedImageError

    try:
        with pil.open(path, formats=sorted(set(SUFFIXES.values()))) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, pil.DecompressionBombError) as error:
        known = error.strerror if isinstance(error, OSError) else None
        why = "it is no image" if isinstance(error, UnidentifiedImageError) else known or str(error)
        raise DataError(f"cannot read {path}", why=why, remedy="repair it or take it out") from error


# what is in a folder


def open_folder(folder: Path, *, mode: Mode | None = None, size: tuple[int, int] | None = None) -> ImageFolder:
    """Open a folder of images.

    Parameters
    ----------
    folder : Path
        With images, or with one sub-folder of images per class; classes are numbered in sorted order.
    mode : {'RGB', 'L'}, optional
        Default: what the first image is.
    size : (height, width), optional
        Scale the images.

    Raises
    ------
    DataError
        If there are no images, or the first cannot be read.

    Notes
    -----
    Only lists the files and opens the first; memory O(number of files).
    """
    entries = sorted(_visible(folder))
    here = [path for path in entries if _is_image(path) and not path.is_dir()]
    inside = [path for path in entries if path.is_dir()]
    below = {path: sorted(_images_below(path)) for path in inside}
    notes = _skipped(folder, entries)
    if here:
        if any(below.values()):
            first = next(path for path, files in below.items() if files)
            raise DataError(
                f"{folder} holds images and folders of images, such as {first.name}",
                remedy="give a folder of images, or one with a sub-folder per class",
            )
        return ImageFolder(folder, here, None, None, mode=mode, size=size, notes=notes)
    files = [file for path in inside for file in below[path]]
    if not files:
        raise DataError(
            f"there are no images in {folder}", why="it holds other files only" if entries else "it is empty",
            remedy=f"give a folder with {', '.join(SUFFIXES)} files, or with sub-folders of them",
        )  # fmt: skip
    if all(file.parent not in below for file in files):
        names = ", ".join(path.name for path in inside if below[path])
        raise DataError(
            f"the images in {folder} lie two or more folders below it", remedy=f"give one of its sub-folders: {names}"
        )
    empty = [path.name for path in inside if not below[path]]
    if empty:
        notes.append(f"classes without images: {', '.join(empty)}")
    labels = [label for label, path in enumerate(inside) for _ in below[path]]
    classes = tuple(path.name for path in inside)
    return ImageFolder(folder, files, labels, classes, mode=mode, size=size, notes=notes)


def _visible(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(f"cannot read {folder}", why=error.strerror or str(error)) from error


def _images_below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in files if not name.startswith(".") and _is_image(Path(name)))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _skipped(folder: Path, entries: Sequence[Path]) -> list[str]:
    """Say which files are no images."""
    others = [path.name for path in entries if path.is_file() and not _is_image(path)]
    for path in entries:
        if path.is_dir():
            others += [f"{path.name}/{p.name}" for p in sorted(_visible(path)) if p.is_file() and not _is_image(p)]
    if not others:
        return []
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    return [f"no images, so left out: {', '.join(others[:LISTED])}{more}"]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
