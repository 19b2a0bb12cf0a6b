"""Writes a workload as an ONNX file, for both onnxruntime peers: python onnx_models.py JOB.json

Images in the file are [N, C, H, W], as ONNX has it.
"""
import json, sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from serve import parameters, read


def save(job, nodes, inputs, constants, outputs=("y",), whole=()):
    described = [helper.make_tensor_value_info(name, TensorProto.INT64 if name in whole else TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "work", described, outputs, [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), job["onnx"])


def gemm(job, tensors):
    work = job["work"]
    if work["transposeA"] or work["transposeB"]:
        node = helper.make_node("Gemm", ["a", "b"], ["y"], transA=int(work["transposeA"]), transB=int(work["transposeB"]))
    else:
        node = helper.make_node("MatMul", ["a", "b"], ["y"])
    inputs, b = {"a": tensors["a.0"].shape, "b": tensors["b.0"].shape}, {}
    if work["fixedB"]:                                          # a constant of the model, which onnxruntime packs once
        b = {"b": tensors["b.0"]}
        del inputs["b"]
    save(job, [node], inputs, b)


def conv(w):
    return w.transpose(0, 3, 1, 2)


def cnn(job, tensors):
    p, constants, nodes, at = parameters(tensors), {}, [], "x"

    def add(op, name, operands=(), **attributes):
        nonlocal at
        nodes.append(helper.make_node(op, [at, *operands], [name], **attributes))
        at = name

    for layer in ("0", "3", "6"):
        constants |= {f"{layer}.weight": conv(p[f"{layer}.weight"]), f"{layer}.bias": p[f"{layer}.bias"]}
        add("Conv", f"conv{layer}", [f"{layer}.weight", f"{layer}.bias"], kernel_shape=[3, 3])
        add("Relu", f"relu{layer}")
        if layer != "6":
            add("MaxPool", f"pool{layer}", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten", "flat")
    w = p["9.weight"]                                           # columns in order H, W, C -> C, H, W
    constants |= {"9.weight": w.reshape(len(w), -1, 64).swapaxes(1, 2).reshape(len(w), -1), "9.bias": p["9.bias"]}
    constants |= {"11.weight": p["11.weight"], "11.bias": p["11.bias"]}
    add("Gemm", "dense", ["9.weight", "9.bias"], transB=1)
    add("Relu", "hidden")
    add("Gemm", "y", ["11.weight", "11.bias"], transB=1)
    n, h, w, c = tensors["inputs.0"].shape
    save(job, nodes, {"x": (n, c, h, w)}, constants)


def stream(job, tensors):
    p = parameters(tensors)
    # Gates i, f, g, o -> i, o, f, c; both biases side by side; a leading dimension for the one direction.
    order = lambda values: np.concatenate([np.split(values, 4)[i] for i in (0, 3, 1, 2)])
    gates = {name: order(p[f"recurrent.{name}L0"]) for name in ("weightIh", "weightHh", "biasIh", "biasHh")}
    constants = {"table": p["embedding.weight"], "w": gates["weightIh"][None], "r": gates["weightHh"][None],
                 "b": np.concatenate([gates["biasIh"], gates["biasHh"]])[None], "head": p["head.weight"], "bias": p["head.bias"], "first": np.array([0])}
    hidden = gates["weightHh"].shape[1]
    nodes = [helper.make_node("Gather", ["table", "id"], ["x"]),
             helper.make_node("LSTM", ["x", "w", "r", "b", "", "h", "c"], ["", "h2", "c2"], hidden_size=hidden),
             helper.make_node("Squeeze", ["h2", "first"], ["last"]),
             helper.make_node("Gemm", ["last", "head", "bias"], ["y"], transB=1)]
    save(job, nodes, {"id": (1, 1), "h": (1, 1, hidden), "c": (1, 1, hidden)}, constants, ("y", "h2", "c2"), {"id"})


job = json.load(open(sys.argv[1]))
{"gemm": gemm, "infer": cnn, "stream": stream}[job["kind"]](job, read(job["file"]))
