"""Folders of images: classes, sizes, kinds, and what is no image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from splinegraph.data.reading import read_data
from splinegraph.data.source import Batch
from splinegraph.errors import DataError

RNG = np.random.default_rng(0)


def _write(path: Path, shape: tuple[int, ...] = (4, 6, 3), mode: str | None = None) -> np.ndarray[Any, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return pixels


def _read(folder: Path, **options: Any) -> Batch:
    (batch,) = read_data(folder, **options).batches(99)
    return batch


def test_sub_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    held = {name: _write(tmp_path / name) for name in ("dog/b.png", "cat/z.bmp", "cat/a.PNG", "dog/deep/c.png")}
    (tmp_path / ".hidden").mkdir()
    source = read_data(tmp_path)
    assert source.classes == ("cat", "dog")
    assert (source.shapes, len(source)) == (((3, 4, 6),), 4)
    (batch,) = source.batches(9)
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 0, 1, 1]
    expected = np.stack([held[name] for name in ("cat/a.PNG", "cat/z.bmp", "dog/b.png", "dog/deep/c.png")])
    assert np.allclose(batch.inputs[0].numpy(), expected.transpose(0, 3, 1, 2) / 255.0)
    assert torch.equal(source.rows([2, 0]).inputs[0], batch.inputs[0][[2, 0]])


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    pixels = [_write(tmp_path / f"{i}.png", (3, 3)) for i in range(3)]
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".DS_Store").write_text("")
    batch = _read(tmp_path)
    assert batch.labels is None
    assert np.allclose(batch.inputs[0][:, 0].numpy(), np.stack(pixels) / 255.0)
    assert read_data(tmp_path).notes == ("no images, so left out: notes.txt",)


def test_kinds_of_images(tmp_path: Path) -> None:
    deep = RNG.integers(0, 2**16, (3, 3), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert np.allclose(_read(tmp_path).inputs[0][0, 0].numpy(), deep / 65535)
    assert _read(tmp_path, image_mode="RGB").inputs[0].shape == (1, 3, 3, 3)
    assert _read(tmp_path, image_size=2).inputs[0].shape == (1, 1, 2, 2)
    assert 0.1 < float(_read(tmp_path, image_size=2).inputs[0].mean()) < 0.9

    alpha = tmp_path / "alpha"
    pixels = _write(alpha / "a.png", (3, 3, 4))
    assert np.allclose(_read(alpha).inputs[0][0].numpy(), pixels[..., :3].transpose(2, 0, 1) / 255.0)
    assert read_data(alpha).notes == ("the images are RGBA and were converted to RGB",)

    bits = tmp_path / "bits"
    _write(bits / "a.png", (3, 3), "1")
    assert set(_read(bits).inputs[0].unique().tolist()) <= {0.0, 1.0}
    _write(bits / "b.png", (3, 3, 3))
    with pytest.raises(DataError, match=r"b.png is in color: .*a.png is gray"):
        _read(bits)
    assert _read(bits, image_mode="L").inputs[0].shape == (2, 1, 3, 3)
    assert _read(bits, image_mode="RGB").inputs[0].shape == (2, 3, 3, 3)


def test_another_size_names_the_file_and_both_sizes(tmp_path: Path) -> None:
    _write(tmp_path / "a.png", (4, 6, 3))
    _write(tmp_path / "b.png", (5, 6, 3))
    with pytest.raises(DataError, match=r"b.png is 5x6 \(height x width\): .*a.png is 4x6; .*image_size"):
        _read(tmp_path)
    assert _read(tmp_path, image_size=(2, 3)).inputs[0].shape == (2, 3, 2, 3)
    assert "scaled to 2x3" in read_data(tmp_path, image_size=(2, 3)).notes[0]


def test_damaged_images_are_named(tmp_path: Path) -> None:
    _write(tmp_path / "a.png", (40, 40, 3))
    _write(tmp_path / "b.png", (40, 40, 3))
    whole = (tmp_path / "b.png").read_bytes()
    for damaged in (b"", b"no image", whole[: len(whole) // 2], whole[:20]):
        (tmp_path / "b.png").write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot read .*b.png"):
            _read(tmp_path)


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"cannot read .*b.png: No such file"):
        _read(tmp_path)


def test_numbers_of_32_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a.tif: it holds numbers of 32 bits"):
        _read(tmp_path)


def test_names_are_printable(tmp_path: Path) -> None:
    _write(tmp_path / "\x1b[31m" / "a.png")
    (tmp_path / "\x1b[31m" / "b\n.txt").write_text("")
    source = read_data(tmp_path)
    assert all(note.isprintable() for note in (source.name, *source.notes))


def test_a_program_in_disguise_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n")
    with pytest.raises(DataError, match="it is no image"):
        read_data(tmp_path)


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images in .*it is empty"):
        read_data(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match="other files only"):
        read_data(tmp_path)
    _write(tmp_path / "train" / "cat" / "a.png")
    with pytest.raises(DataError, match="give one of its sub-folders: train"):
        read_data(tmp_path)
    _write(tmp_path / "b.png")
    with pytest.raises(DataError, match="images and folders of images, such as train"):
        read_data(tmp_path)
    with pytest.raises(DataError, match="it is a single image; give the folder"):
        read_data(tmp_path / "b.png")


def test_an_empty_class_keeps_its_number(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    _write(tmp_path / "c" / "1.png")
    source = read_data(tmp_path)
    assert source.classes == ("a", "b", "c")
    assert source.rows([1]).labels == torch.tensor([2])
    assert source.notes == ("classes without images: b",)
