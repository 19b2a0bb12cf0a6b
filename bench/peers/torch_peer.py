"""PyTorch. Options: channels_last, fused (the optimizer), compile, jit (frozen TorchScript, prediction alone)."""
import re, sys
import numpy as np
import torch
from torch.nn import functional as F
from serve import Ready, parameters, rotation, serve
from torch_networks import Step, networks

torch.set_num_threads(int(sys.argv[1]))


def about():
    note = "" if sys.platform == "win32" else torch.backends.cpu.get_cpu_capability()
    return {"versions": f"torch {torch.__version__}", "threads": torch.get_num_threads(), "note": note}


def first(values):
    """[N, H, W, C] -> [N, C, H, W], and so for the weights of convolutions; others as they are."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 1) if values.ndim == 4 else values))


def last(values):
    values = values.detach().float()
    return (values.permute(0, 2, 3, 1) if values.ndim == 4 else values).numpy()


def layout(tensor, options):
    return tensor.contiguous(memory_format=torch.channels_last) if options.get("channels_last") and tensor.ndim == 4 else tensor


def gemm(job, tensors):
    work, dtype = job["work"], getattr(torch, job["dtype"])
    a = [torch.from_numpy(values.copy()).to(dtype) for values in rotation(tensors, "a")]
    b = [torch.from_numpy(values.copy()).to(dtype) for values in rotation(tensors, "b")]
    a = [x.T for x in a] if work["transposeA"] else a
    b = [x.T for x in b] if work["transposeB"] else b
    return Ready(lambda i: a[i % len(a)] @ b[i % len(b)], last)


def conv(job, tensors):
    padding = job["work"]["padding"]
    x, w, dy = ([layout(first(values), job["options"]) for values in rotation(tensors, name)] for name in ("x", "w", "dy"))
    n = len(x)
    if job["work"]["pass"] == "forward":
        return Ready(lambda i: F.conv2d(x[i % n], w[i % n], padding=padding), last)
    which = 0 if job["work"]["pass"] == "data" else 1
    mask = [which == 0, which == 1, False]
    backward = torch.ops.aten.convolution_backward

    def call(i):
        i %= n
        return backward(dy[i], x[i], w[i], None, [1, 1], [padding, padding], [1, 1], False, [0, 0], 1, mask)[which]
    return Ready(call, last)


def network(job, tensors):
    model = networks[job["work"]["network"]]()
    state = {}
    for name, values in parameters(tensors).items():
        name = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        if name in job["work"]["flattened"]:                    # columns in order H, W, C -> C, H, W
            channels = job["work"]["flattened"][name]
            values = values.reshape(len(values), -1, channels).swapaxes(1, 2).reshape(len(values), -1)
        state[name] = first(values)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(name in dict(model.named_parameters()) for name in missing):
        raise ValueError(f"parameters do not match: {missing} {unexpected}")
    return model.to(memory_format=torch.channels_last) if job["options"].get("channels_last") else model


def train(job, tensors):
    model, options = network(job, tensors), job["options"]
    x = [layout(first(values), options) for values in rotation(tensors, "inputs")]
    x = [batch.long() if batch.dtype == torch.int32 else batch for batch in x]
    y = [torch.from_numpy(values.astype(np.int64)) for values in rotation(tensors, "labels")]
    optimizer = torch.optim.Adam(model.parameters(), lr=job["work"]["learningRate"], fused=options.get("fused"))
    def loss_of(x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=job["dtype"] == "bfloat16"):
            return F.cross_entropy(model(x), y)
    if options.get("compile"):
        loss_of = torch.compile(loss_of)

    def call(i):
        i %= len(x)
        loss = loss_of(x[i], y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
    return Ready(call, last)


def infer(job, tensors):
    model, options = network(job, tensors).eval(), job["options"]
    batches = [np.ascontiguousarray(first(values).numpy()) for values in rotation(tensors, "inputs")]
    if options.get("jit"):
        with torch.no_grad():
            model = torch.jit.freeze(torch.jit.trace(model, torch.from_numpy(batches[0])))
    if options.get("compile"):
        model = torch.compile(model)

    @torch.inference_mode()
    def call(i):
        return model(layout(torch.from_numpy(batches[i % len(batches)]), options)).numpy()
    return Ready(call, lambda values: values)


def stream(job, tensors):
    step = Step(network(job, tensors)).eval()
    if job["options"].get("jit"):
        step = torch.jit.freeze(torch.jit.script(step))
    ids = [values.astype(np.int64) for values in rotation(tensors, "inputs")]
    states = (torch.zeros(1, 1, 128), torch.zeros(1, 1, 128))

    @torch.inference_mode()
    def call(i):
        nonlocal states
        scores, states = step(torch.from_numpy(ids[i % len(ids)]), states)
        return scores.numpy()
    return Ready(call, lambda values: values)


serve(about, {"gemm": gemm, "conv": conv, "train": train, "infer": infer, "stream": stream})
