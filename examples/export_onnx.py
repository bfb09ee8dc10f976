"""Write digits_cnn.onnx, the trained network of digits_cnn.py in the format of other tools.

pip install "splinegraph[onnx]" onnxscript
python examples/export_onnx.py
"""

from pathlib import Path

import onnx
import torch
from digits_cnn import input_shape, model
from train_digits import write_atomically

PATH = Path(__file__).parent / "digits_cnn.onnx"


def main() -> None:
    """Export the network with a free batch size, and without notes on the machine that did it."""
    batch = torch.export.Dim("batch")
    example = torch.zeros(2, *input_shape)
    program = torch.onnx.export(
        model, (example,), dynamo=True, opset_version=18, optimize=True, verbose=False,
        input_names=["x"], output_names=["scores"], dynamic_shapes=({0: batch},),
    )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    del proto.metadata_props[:], proto.graph.metadata_props[:]
    for part in [*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output]:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.checker.check_model(proto)
    write_atomically(PATH, proto.SerializeToString(deterministic=True))
    print(f"{PATH.name}: {', '.join(node.op_type for node in proto.graph.node)}")


if __name__ == "__main__":
    main()
