""".npy and .npz files, read without loading them: mapped where they are stored plainly, streamed where compressed."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from splinegraph.data.arrays import Array, Column, row_bytes
from splinegraph.errors import DataError

__all__ = ["Compressed", "Mapped", "is_archive", "is_array", "open_archive", "open_array"]

BLOCK = 2**20
"""Bytes copied at a time."""

BROKEN = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What zipfile, zlib and numpy raise for files that are damaged, encrypted or in an unknown format."""


class Mapped(Column):
    """An array that lies in a file as it would in memory.

    It is mapped anew for each block, so that no pages of it stay behind.
    """

    def __init__(self, name: str, path: Path, header: _Header, offset: int) -> None:
        super().__init__(name, header.shape, header.dtype)
        self._path, self._header, self._offset = path, header, offset

    def _map(self) -> Array:
        try:
            return np.memmap(
                self._path, self.dtype, "r", self._offset, self.shape, "F" if self._header.fortran else "C"
            )
        except (OSError, ValueError) as error:
            raise unreadable(self._path, error) from error

    def blocks(self, size: int) -> Iterator[Array]:
        for start in range(0, self.shape[0], size):
            yield self._map()[start : start + size]

    def rows(self, indices: Sequence[int]) -> Array:
        return self._map()[list(indices)]


class Compressed(Column):
    """A compressed array in an .npz file: unpacked block by block, and anew in each pass."""

    def __init__(self, name: str, path: Path, member: str, header: _Header) -> None:
        super().__init__(name, header.shape, header.dtype)
        self._path, self._member, self._header = path, member, header

    def blocks(self, size: int) -> Iterator[Array]:
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._member) as stream:
                stream.read(self._header.size)
                if self._header.fortran and len(self.shape) > 1:
                    yield from self._spooled(stream, size)
                    return
                for start in range(0, self.shape[0], size):
                    count = min(size, self.shape[0] - start)
                    held = _exactly(stream, count * row_bytes(self))
                    yield np.frombuffer(held, self.dtype).reshape(count, *self.shape[1:])
        except BROKEN as error:
            raise unreadable(self._path, error) from error

    def _spooled(self, stream: IO[bytes], size: int) -> Iterator[Array]:
        """Unpack into a temporary file: rows are not consecutive here."""
        with tempfile.NamedTemporaryFile() as file:
            while block := stream.read(BLOCK):
                file.write(block)
            file.flush()
            yield from Mapped(self.name, Path(file.name), self._header, 0).blocks(size)


class _Header:
    """What stands in front of the numbers of an .npy file."""

    def __init__(self, stream: IO[bytes]) -> None:
        version = np.lib.format.read_magic(stream)
        read: Any = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"version {'.'.join(map(str, version))} of the format is not supported")
        self.shape, self.fortran, self.dtype = read(stream)
        if min(self.shape, default=0) < 0:
            raise ValueError(f"its shape is {self.shape}")
        self.size = stream.tell()
        self.bytes = self.size + int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def is_array(path: Path) -> bool:
    """Whether a file begins like an .npy file."""
    return _begins(path).startswith(b"\x93NUMPY")


def is_archive(path: Path) -> bool:
    """Whether a file begins like a zip file."""
    return _begins(path).startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(8)
    except OSError as error:
        raise unreadable(path, error) from error


def open_array(path: Path) -> Column:
    """Open an .npy file.

    Raises
    ------
    DataError
        If it is damaged, or holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            header = _Header(stream)
        _whole(header, path.stat().st_size)
    except _Objects as error:
        raise DataError(f"cannot read {path}", why="it holds Python objects", remedy="give numbers") from error
    except BROKEN as error:
        raise unreadable(path, error) from error
    return Mapped(f"{path}", path, header, header.size)


def open_archive(path: Path) -> tuple[dict[str, Column], dict[str, str]]:
    """Open an .npz file.

    Returns
    -------
    dict from name to Column
        The arrays of numbers.
    dict from name to str
        The others, with the reason why they cannot be read. Python objects are never loaded: that could run
        code from the file.

    Raises
    ------
    DataError
        If it is damaged.

    Notes
    -----
    Reads the headers only. The checksum of an array is compared at the end of a pass over a compressed
    one; zip files of mapped ones are taken as they are.
    """
    found: dict[str, Column] = {}
    refused: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    key = info.filename.removesuffix(".npy")
                    with contextlib.suppress(_Objects):
                        found[key] = _member(path, archive, info, file, f"{key!r} in {path}")
                        continue
                    refused[key] = "it holds Python objects"
    except BROKEN as error:
        raise unreadable(path, error) from error
    return found, refused


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: IO[bytes], name: str) -> Column:
    with archive.open(info) as stream:
        header = _Header(stream)
    _whole(header, info.file_size)
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        return Compressed(name, path, info.filename, header)
    file.seek(info.header_offset + 26)  # in the local header, whose extra field may differ from the central one
    lengths = file.read(4)
    before = 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return Mapped(name, path, header, info.header_offset + before + header.size)


class _Objects(Exception):
    """An array of Python objects."""


def _whole(header: _Header, size: int) -> None:
    if header.dtype.hasobject:
        raise _Objects
    if header.bytes > size:
        raise EOFError(f"it ends after {size} of {header.bytes} bytes")


def _exactly(stream: IO[bytes], count: int) -> bytes:
    held = stream.read(count)
    if len(held) < count:
        raise EOFError("the array ends too early")
    return held


def unreadable(path: Path, error: Exception) -> DataError:
    """Say why a file cannot be read."""
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    if isinstance(error, PermissionError):
        return DataError(f"cannot read {path}", why=why, remedy="make it readable")
    return DataError(f"cannot read {path}", why=why[:300], remedy="give a file written by numpy.savez or numpy.save")
