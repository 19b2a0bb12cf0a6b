"""Writes a workload as an ONNX file, for both onnxruntime peers: python onnx_models.py JOB.json

Images in the file are [N, C, H, W], as ONNX has it.
"""
import json, sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from serve import parameters, read


def save(job, nodes, inputs, constants):
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
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


job = json.load(open(sys.argv[1]))
{"gemm": gemm, "cnn": cnn}[job["work"].get("network", job["kind"])](job, read(job["file"]))
