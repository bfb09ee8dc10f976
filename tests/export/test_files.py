"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from splinegraph.errors import DataError
from splinegraph.export import files
from splinegraph.export.files import check_folder, make_folder, write_json, write_text


class Result:
    def to_dict(self) -> dict[str, float]:
        return {"é": 0.1}


def test_json_comes_back(tmp_path: Path) -> None:
    path = write_json(Result(), tmp_path / "a.json")
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": 0.1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_has_no_nan(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json([number], tmp_path / "a.json")
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text("old", tmp_path / "a.txt")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        write_text("new", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text("new", tmp_path / "a.txt")
    assert os.listdir(tmp_path) == []


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.check_writable(pipe)
    write_text("told", pipe)
    assert (os.read(reader, 99), pipe.is_fifo(), list(tmp_path.iterdir())) == (b"told", True, [pipe])
    os.close(reader)


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for text in ("new", "again"):
        write_text(text, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "again"


def test_folders(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    write_text("", tmp_path / "file")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match="cannot make the folder"):
            make_folder(folder)
    with pytest.raises(DataError, match="cannot write"):
        write_text("", tmp_path / "missing" / "a.txt")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no folder in which nobody can make one")
def test_a_folder_that_cannot_be_made_is_named_as_asked() -> None:
    with pytest.raises(DataError, match=r"cannot make the folder /proc/foo: .*; choose another folder") as caught:
        check_folder("/proc/foo", "report.json")
    assert "report.json" not in str(caught.value)
