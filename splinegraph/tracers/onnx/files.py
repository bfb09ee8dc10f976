"""Opening an .onnx file: what it may refer to, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splinegraph.errors import MissingDependencyError, TargetError

__all__ = ["OLDEST", "open_model", "opset_versions", "require_onnx"]

OLDEST = 7
"""The first operator set with today's broadcasting; older files are converted."""


def require_onnx() -> Any:
    """Return the package `onnx`.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import onnx
        import onnx.external_data_helper
        import onnx.inliner
        import onnx.version_converter
    except ImportError as error:
        raise MissingDependencyError(
            "reading an .onnx file needs the package onnx", why=str(error), remedy="pip install 'splinegraph[onnx]'"
        ) from error
    return onnx


def open_model(path: Path) -> Any:
    """Return the ModelProto of a file with its external data, its own functions inlined.

    Raises
    ------
    TargetError
        If the file is missing, is no ONNX model, is damaged, or refers to data outside of its folder.
    """
    onnx = require_onnx()
    model = _parse(onnx, path)
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise TargetError(f"{path} holds no graph", why="it is empty or no ONNX file")
    if not model.graph.output:
        raise TargetError(f"the graph in {path} has no outputs", remedy="export the model again")
    if model.graph.sparse_initializer:
        raise TargetError(f"{path} holds sparse weights", remedy="export them densely")
    _load_external(onnx, model, path)
    model = _current(onnx, model, path)
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:
            raise TargetError(f"the functions in {path} cannot be inlined", why=_line(error)) from error
    return model


def _parse(onnx: Any, path: Path) -> Any:
    if path.is_dir():
        raise TargetError(f"{path} is a folder", remedy="name the .onnx file in it")
    if not path.is_file():
        raise TargetError(f"there is no file {path}", remedy="give the path of an .onnx file")
    try:
        return onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise TargetError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except Exception as error:
        raise TargetError(
            f"{path} is no ONNX file, or is damaged", why=_line(error), remedy="export or download it again"
        ) from error


def _line(error: Exception) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def opset_versions(model: Any) -> dict[str, int]:
    """Return the version of every operator set that a model imports; '' is ONNX's own."""
    versions = {"" if o.domain == "ai.onnx" else o.domain: int(o.version) for o in model.opset_import}
    return versions or {"": 1}  # files from before operator sets


def _current(onnx: Any, model: Any, path: Path) -> Any:
    """Convert files of before `OLDEST`, and refuse those of the future."""
    version, newest = opset_versions(model).get("", OLDEST), onnx.defs.onnx_opset_version()
    if version > newest:
        raise TargetError(
            f"{path} uses ONNX operator set {version}", why=f"the installed onnx knows up to {newest}",
            remedy=f"upgrade onnx, or export with opset_version={newest}",
        )  # fmt: skip
    if version >= OLDEST:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, 9)
        for node in converted.graph.node:
            if node.op_type == "PRelu":  # the converter leaves its slopes as they were: one per channel
                node.attribute.append(onnx.helper.make_attribute("per_channel", 1))
        return converted
    except Exception as error:
        raise TargetError(
            f"{path} uses ONNX operator set {version}", why=f"it cannot be converted: {_line(error)}",
            remedy=f"export it again with opset_version={OLDEST} or later",
        ) from error  # fmt: skip


# external data


def _tensors(onnx: Any, graph: Any) -> Iterator[Any]:
    """Yield all tensors stored in a graph, those in attributes and subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        yield from _node_tensors(onnx, node)


def _node_tensors(onnx: Any, node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            yield from _tensors(onnx, graph)


def _load_external(onnx: Any, model: Any, path: Path) -> None:
    """Read the weights that lie in other files, after all of them have been checked."""
    tensors = list(_tensors(onnx, model.graph))
    for function in model.functions:
        tensors += [t for node in function.node for t in _node_tensors(onnx, node)]
    outside = [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]
    for tensor in outside:
        _check_external(tensor, path)
    for tensor in outside:
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
        except Exception as error:
            raise TargetError(f"the data of {tensor.name!r} in {path} cannot be read", why=_line(error)) from error


def _check_external(tensor: Any, path: Path) -> None:
    """Raise unless a tensor's data lies in a file of the model's own folder, and is all there."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = entries.get("location", ""), path.parent.resolve()
    what = f"{path} refers to data outside of its folder"
    unsafe = Path(location).is_absolute() or ".." in location.replace("\\", "/").split("/") or ":" in location
    target = folder / location
    if not location or unsafe or not target.resolve().is_relative_to(folder):
        raise TargetError(
            what, where=f"tensor {tensor.name!r}", why=f"its location is {location!r}",
            remedy="refuse the file, or save it anew with its data beside it",
        )  # fmt: skip
    if not target.is_file():
        raise TargetError(
            f"{path} keeps its weights in {location!r}, which is not there", remedy=f"put it into {path.parent}"
        )
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError:
        offset = length = -1
    if min(offset, length) < 0 or offset + length > target.stat().st_size:
        raise TargetError(
            f"{location!r} is shorter than {path} says", where=f"tensor {tensor.name!r}",
            remedy="export or download it again",
        )  # fmt: skip
