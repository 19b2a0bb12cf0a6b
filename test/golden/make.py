"""Writes cnn.json: the article's CNN trained by PyTorch from weights and batches that a formula gives, so that nothing large is stored.

    python test/golden/make.py            (torch and numpy; a few minutes)

Everything is drawn by `uniform(stream, count)`, a 32-bit integer hash of (stream, index) mapped exactly into [-1, 1); test/golden/formula.ts has
the same in TypeScript. Values are generated in Ferrograd's layout, then permuted to PyTorch's:
    conv weight [O, KH, KW, I] -> [O, I, KH, KW];  image [N, H, W, C] -> [N, C, H, W];  columns of the Linear behind Flatten: (h, w, c) -> (c, h, w).
"""
import json, os
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

STEPS, BATCH = 20, 32
# name, shape in Ferrograd's layout, fan-in: both weight and bias are uniform in +-1/sqrt(fan-in), PyTorch's default bounds
PARAMETERS = [
    ("conv1.weight", (32, 3, 3, 3), 27), ("conv1.bias", (32,), 27),
    ("conv2.weight", (64, 3, 3, 32), 288), ("conv2.bias", (64,), 288),
    ("conv3.weight", (64, 3, 3, 64), 576), ("conv3.bias", (64,), 576),
    ("linear1.weight", (64, 1024), 1024), ("linear1.bias", (64,), 1024),
    ("linear2.weight", (10, 64), 64), ("linear2.bias", (10,), 64),
]
OPTIMIZERS = {  # name: (PyTorch class, options, whether each step sees the same full batch)
    "gd": (torch.optim.SGD, dict(lr=0.1), True),
    "sgd": (torch.optim.SGD, dict(lr=0.05), False),
    "sgd momentum": (torch.optim.SGD, dict(lr=0.02, momentum=0.9), False),
    "sgd nesterov": (torch.optim.SGD, dict(lr=0.02, momentum=0.9, nesterov=True), False),
    "sgd weight decay": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, dampening=0.1, weight_decay=0.01), False),
    "rmsprop": (torch.optim.RMSprop, dict(lr=0.001), False),
    "rmsprop centered": (torch.optim.RMSprop, dict(lr=0.001, momentum=0.9, centered=True), False),
    "adagrad": (torch.optim.Adagrad, dict(lr=0.01, lr_decay=0.1), False),
    "adam": (torch.optim.Adam, dict(lr=0.001), False),
    "adam amsgrad": (torch.optim.Adam, dict(lr=0.001, amsgrad=True, weight_decay=0.01), False),
    "adamw": (torch.optim.AdamW, dict(lr=0.001, weight_decay=0.05), False),
}


def hashes(stream, count):
    h = (np.arange(count, dtype=np.uint64) * 0x9E3779B1 + stream * 0x85EBCA6B) & 0xFFFFFFFF
    h ^= h >> 16
    h = h * 0x7FEB352D & 0xFFFFFFFF
    h ^= h >> 15
    h = h * 0x846CA68B & 0xFFFFFFFF
    return h ^ h >> 16


def uniform(stream, count):
    return hashes(stream, count).astype(np.float64) / 2**31 - 1


def to_torch(name, array):
    if array.ndim == 4:
        array = array.transpose(0, 3, 1, 2)
    if name == "linear1.weight":
        array = array.reshape(64, 4, 4, 64).transpose(0, 3, 1, 2).reshape(64, 1024)
    return np.ascontiguousarray(array)


def to_ferrograd(name, array):
    if name == "linear1.weight":
        return array.reshape(64, 64, 4, 4).transpose(0, 2, 3, 1).reshape(64, 1024)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def initial(dtype):
    values = {}
    for stream, (name, shape, fan_in) in enumerate(PARAMETERS):
        array = uniform(stream + 1, int(np.prod(shape))).reshape(shape) * (1 / np.sqrt(fan_in))
        values[name] = nn.Parameter(torch.from_numpy(to_torch(name, array)).to(dtype))
    return values


def batch(step, dtype):
    images = (uniform(1000 + step, BATCH * 32 * 32 * 3).reshape(BATCH, 32, 32, 3) + 1) / 2
    labels = hashes(2000 + step, BATCH) % 10
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(dtype), torch.from_numpy(labels.astype(np.int64))


def logits(p, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv2.weight"], p["conv2.bias"])), 2)
    x = F.relu(F.conv2d(x, p["conv3.weight"], p["conv3.bias"])).flatten(1)
    return F.linear(F.relu(F.linear(x, p["linear1.weight"], p["linear1.bias"])), p["linear2.weight"], p["linear2.bias"])


def train(name, dtype, steps=STEPS):
    kind, options, same = OPTIMIZERS[name]
    p = initial(dtype)
    optimizer, losses = kind(p.values(), **options), []
    for step in range(steps):
        x, y = batch(0 if same else step, dtype)
        loss = F.cross_entropy(logits(p, x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {key: summary(key, value.detach().double().numpy()) for key, value in p.items()}


def summary(name, array):
    """Sum, sum of magnitudes, and eight elements spread over the parameter, in Ferrograd's order."""
    flat = to_ferrograd(name, array).reshape(-1)
    return {"sum": flat.sum(), "magnitude": np.abs(flat).sum(), "values": [flat[i * (flat.size - 1) // 7] for i in range(8)]}


def main():
    float64 = {}
    for name, (kind, options, same) in OPTIMIZERS.items():
        losses, parameters = train(name, torch.float64)
        float64[name] = {"class": kind.__name__, "options": options, "sameBatch": same, "losses": losses, "parameters": parameters}
        print(name, losses[0], losses[-1], flush=True)
    float32 = {}
    for name in ["sgd", "adam"]:
        _, one = train(name, torch.float32, 1)
        losses, parameters = train(name, torch.float32)
        float32[name] = {"afterOneStep": one, "losses": losses, "parameters": parameters}
    out = {"torch": torch.__version__, "steps": STEPS, "batch": BATCH,
           "parameters": [{"name": n, "shape": s, "fanIn": f} for n, s, f in PARAMETERS], "float64": float64, "float32": float32}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cnn.json"), "w") as file:
        json.dump(out, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
