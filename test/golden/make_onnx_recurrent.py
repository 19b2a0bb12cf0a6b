"""ONNX's own node tests of RNN, LSTM and GRU: `python test/golden/make_onnx_recurrent.py` (onnx==1.22.0, the last wheel that carries them) writes
onnx-recurrent.json beside it: each test's attributes, and its inputs and outputs in float32 under their names in the model.
"""
import json
import pathlib

import onnx
from onnx import helper, numpy_helper

TESTS = [
    "simple_rnn_defaults", "simple_rnn_with_initial_bias", "simple_rnn_batchwise", "rnn_seq_length",
    "lstm_defaults", "lstm_with_initial_bias", "lstm_batchwise", "lstm_with_peepholes",
    "gru_defaults", "gru_with_initial_bias", "gru_batchwise", "gru_seq_length",
]
FOLDER = pathlib.Path(onnx.__file__).parent / "backend/test/data/node"


def tensors(folder, names, kind):
    files = (folder / f"{kind}_{i}.pb" for i in range(len(names)))
    arrays = (numpy_helper.to_array(onnx.load_tensor(file)) for file in files)
    return {name: {"shape": a.shape, "data": [float(f"{v:.9g}") for v in a.ravel().tolist()]} for name, a in zip(names, arrays)}


def case(name):
    folder = FOLDER / f"test_{name}"
    (node,) = onnx.load(folder / "model.onnx").graph.node
    data = folder / "test_data_set_0"
    return {
        "op": node.op_type,
        "attributes": {a.name: helper.get_attribute_value(a) for a in node.attribute},
        "inputs": tensors(data, list(node.input), "input"),
        "outputs": tensors(data, [name for name in node.output if name], "output"),
    }


if __name__ == "__main__":
    target = pathlib.Path(__file__).with_name("onnx-recurrent.json")
    target.write_text(json.dumps({name: case(name) for name in TESTS}) + "\n")
