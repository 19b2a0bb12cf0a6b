"""onnxruntime's Python package, on the model that onnx_models.py wrote."""
import sys
import numpy as np
import onnxruntime
from serve import Ready, rotation, serve

threads = int(sys.argv[1])


def about():
    return {"versions": f"onnxruntime {onnxruntime.__version__}", "threads": threads, "note": "CPUExecutionProvider"}


def session(job):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])


def gemm(job, tensors):
    run, a, b = session(job).run, rotation(tensors, "a"), rotation(tensors, "b")
    fixed = job["work"]["fixedB"]
    call = lambda i: run(None, {"a": a[i % len(a)]} if fixed else {"a": a[i % len(a)], "b": b[i % len(b)]})[0]
    return Ready(call, lambda y: y)


def infer(job, tensors):
    run = session(job).run
    batches = [np.ascontiguousarray(values.transpose(0, 3, 1, 2)) for values in rotation(tensors, "inputs")]
    return Ready(lambda i: run(None, {"x": batches[i % len(batches)]})[0], lambda y: y)


def stream(job, tensors):
    run, ids = session(job).run, [values.astype(np.int64) for values in rotation(tensors, "inputs")]
    h = c = np.zeros((1, 1, 128), np.float32)

    def call(i):
        nonlocal h, c
        y, h, c = run(None, {"id": ids[i % len(ids)], "h": h, "c": c})
        return y
    return Ready(call, lambda y: y)


serve(about, {"gemm": gemm, "infer": infer, "stream": stream})
