"""Reading ONNX files: a table of operators, and modules that compute them with torch."""

from __future__ import annotations

from splinegraph.tracers.onnx.module import OnnxModule
from splinegraph.tracers.onnx.reading import read_onnx

__all__ = ["OnnxModule", "read_onnx"]
