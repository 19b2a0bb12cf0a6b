"""PyTorch's values and gradients where ops have an edge: at thresholds and bounds, at 0, at infinities, beside NaN. In float64 and in float32.
Run: python make_edges.py (writes edges.json beside it).

Each operand's values stand in the file; gradients are those of the sum. What JSON cannot hold is written as 'NaN', 'Infinity', '-Infinity'.
Left out is what PyTorch itself answers in two ways, by where in memory an element lies (the gradient of the shrinking functions at NaN).
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

inf, nan = math.inf, math.nan
pairs = [1.0, nan, nan, 2.0, 2.0, 1.0, inf, -inf, 0.0], [nan, 1.0, nan, 2.0, 1.0, 2.0, inf, -inf, 0.0]
bounds = [-0.5, 0.5, nan, inf, -inf, 0.0, 1.0, -1.0]
probabilities = [0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1e-20], [0.0, 1.0, 0.0, 1.0, 0.3, 0.5, 0.5, 0.5]

CASES = {
    "nanToNum": (torch.nan_to_num, [nan, inf, -inf, 1.5, 0.0]),
    "nanToNumGiven": (lambda x: torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0), [nan, inf, -inf, 1.5, 0.0]),
    "nanToNumSwapped": (lambda x: torch.nan_to_num(x, nan=inf, posinf=-inf, neginf=nan), [nan, inf, -inf, 1.5, 0.0]),
    "xlogy": (torch.xlogy, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, nan, 1.0], [0.0, 1.0, -1.0, nan, inf, 2.0, 0.0, 0.0, nan]),
    "klDivTarget": (lambda z, t: F.kl_div(z, t, reduction="none"), [-1.0, -2.0, -inf], [0.0, 0.5, 0.0]),
    "softplus": (F.softplus, [20.0, 20.25, 19.75, 0.0, -100.0, inf, -inf, nan]),
    "softplusSteep": (lambda x: F.softplus(x, 2, 1.5), [0.75, 0.8125, 0.6875, 0.0, -60.0, inf, -inf, nan]),
    "softplusUsual": (lambda x: F.softplus(x, 4, 20), [5.0, 5.25, 4.75]),
    "atan2": (torch.atan2, [0.0, 0.0, 1.0, 0.0, inf, 1.0, nan, 1e30, 1e-30], [0.0, 1.0, 0.0, -1.0, 1.0, inf, 1.0, 1e30, 1e-30]),
    "maximum": (torch.maximum, *pairs),
    "minimum": (torch.minimum, *pairs),
    "softshrink": (F.softshrink, [0.5, -0.5, 0.625, -0.625, 0.0, inf, -inf, 0.25]),
    "softshrinkZero": (lambda x: F.softshrink(x, 0.0), [0.0, 1.0, -1.0]),
    "hardshrink": (F.hardshrink, [0.5, -0.5, 0.625, -0.625, 0.0, inf, -inf, 0.25]),
    "hardshrinkZero": (lambda x: F.hardshrink(x, 0.0), [0.0, 1.0, -1.0]),
    "bce": (lambda p, t: F.binary_cross_entropy(p, t, reduction="none"), *probabilities),
    "cumprodZeros": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0, 0.0, 4.0]),
    "cumprodZero": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0, 5.0, 4.0]),
    "cumprodNaN": (lambda x: x.cumprod(0), [2.0, 3.0, nan, 5.0, 4.0]),
    "cumprodNaNAfterZero": (lambda x: x.cumprod(0), [2.0, 3.0, 0.0, 5.0, nan, 4.0, 0.0, 2.0]),
    "cumprodNaNBeforeZero": (lambda x: x.cumprod(0), [2.0, nan, 3.0, 0.0, 4.0, 5.0]),
    "cumprodNaNBehindZeros": (lambda x: x.cumprod(0), [2.0, 0.0, 3.0, 0.0, nan, 5.0]),
    "cumprodInfinityAfterZero": (lambda x: x.cumprod(0), [2.0, 0.0, inf, 5.0, 4.0]),
    "cumprodColumns": (lambda x: x.reshape(3, 2).cumprod(0), [2.0, 0.0, nan, 3.0, 0.0, nan]),
    "hypot": (
        torch.hypot,
        [inf, nan, inf, -inf, nan, 0.0, 3.0, 1e30, 1e-30, 0.0, 2.0],
        [nan, inf, inf, 1.0, 1.0, 0.0, -4.0, 1e30, 1e-30, 5.0, nan],
    ),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), bounds),
    "clampBelow": (lambda x: x.clamp(min=-0.5), bounds),
    "clampAbove": (lambda x: x.clamp(max=0.5), bounds),
    "relu": (F.relu, [0.0, nan, inf, -inf]),
    "leakyRelu": (F.leaky_relu, [0.0, nan, inf, -inf]),
    "prelu": (F.prelu, [0.0, 2.0, -3.0, nan, inf, -inf], [0.25]),
    "preluFinite": (F.prelu, [0.0, 2.0, -3.0, inf], [0.25]),
    "hardswish": (F.hardswish, [-3.0, 3.0, nan, 0.0, inf, -inf]),
    "hardsigmoid": (F.hardsigmoid, [-3.0, 3.0, nan, inf, -inf]),
}


def plain(t):
    return [v if math.isfinite(v) else "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity" for v in t.detach().flatten().tolist()]


results = {}
for name, (op, *operands) in CASES.items():
    results[name] = {"inputs": [plain(torch.tensor(values, dtype=torch.float64)) for values in operands]}
    for dtype in (torch.float64, torch.float32):
        inputs = [torch.tensor(values, dtype=dtype, requires_grad=True) for values in operands]
        y = op(*inputs)
        results[name][str(dtype).removeprefix("torch.")] = {"y": plain(y), "g": [plain(g) for g in torch.autograd.grad(y.sum(), inputs)]}

lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(result, allow_nan=False)}" for name, result in results.items())
pathlib.Path(__file__).with_name("edges.json").write_text("{\n" + lines + "\n}\n")
