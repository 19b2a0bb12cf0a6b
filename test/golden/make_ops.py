"""PyTorch's answers and gradients for ops whose rules are easily got wrong, in float64. Run: python make_ops.py (writes ops.json beside it).

Operands are made by formula here and in test/ops/torch.test.ts: sin(1.3 i s + 0.7) * 1.5 + 0.01 i. Images are NHWC there, NCHW in PyTorch.
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def made(shape, s=1):
    count = math.prod(shape)
    return torch.tensor([math.sin(1.3 * i * s + 0.7) * 1.5 + 0.01 * i for i in range(count)]).reshape(shape)


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def images(f):
    return lambda x: nhwc(f(nchw(x)))


image, matrix = made([2, 6, 5, 3]), made([5, 4])
labels, weight = torch.tensor([0, 3, 1, 2, 1]), made([4], 2).abs()
probabilities = made([5, 4], 3).softmax(1)
zeroed = made([3, 4])
zeroed[1, 2] = zeroed[2, 0] = zeroed[2, 3] = 0

sounds, spelt = made([7, 3, 5]), torch.tensor([[1, 1, 2], [4, 2, 4], [1, 2, 2]])


def ctc(steps=(7, 7, 7), counts=(3, 3, 3), **options):
    return lambda x: F.ctc_loss(x.log_softmax(-1), spelt, torch.tensor(steps), torch.tensor(counts), **options)


CASES = {
    "maxpool_ceil": (images(lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)), image),
    "avgpool_ceil": (images(lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)), image),
    "avgpool_ceil_nopad": (images(lambda x: F.avg_pool2d(x, 2, 2, 1, ceil_mode=True, count_include_pad=False)), image),
    "adaptive": (images(lambda x: F.adaptive_avg_pool2d(x, (4, 3))), image),
    "resize_up": (images(lambda x: F.interpolate(x, (9, 11), mode="bilinear")), image),
    "resize_down": (images(lambda x: F.interpolate(x, (4, 2), mode="bilinear")), image),
    "conv_same": (lambda x, w: nhwc(F.conv2d(nchw(x), nchw(w), padding="same", dilation=2)), image, made([4, 3, 3, 3], 0.9)),
    "convt": (
        lambda x, w: nhwc(F.conv_transpose2d(nchw(x), nchw(w), stride=2, padding=1, output_padding=1)),
        image,
        made([3, 3, 3, 4], 0.9),
    ),
    "ce": (lambda x: F.cross_entropy(x, labels, weight=weight, label_smoothing=0.2, ignore_index=2), matrix),
    "ce_sum": (lambda x: F.cross_entropy(x, labels, weight=weight, label_smoothing=0.2, reduction="sum"), matrix),
    "ce_prob": (lambda x: F.cross_entropy(x, probabilities, weight=weight, label_smoothing=0.1), matrix),
    "gelu": (F.gelu, matrix),
    "gelut": (lambda x: F.gelu(x, approximate="tanh"), matrix),
    "hardswish": (lambda x: F.hardswish(x * 3), matrix),
    "mish": (F.mish, matrix),
    "selu": (F.selu, matrix),
    "softplus": (lambda x: F.softplus(x, 2, 1.5), matrix),
    "prod": (lambda x: x.prod(1), zeroed),
    "cumprod": (lambda x: x.cumprod(1), zeroed),
    "remainder": (torch.remainder, matrix, made([5, 4], 5)),
    "pow": (lambda x: x.abs().pow(1.7), matrix),
    "var": (lambda x: x.var(1), matrix),
    "std": (lambda x: x.std(0, correction=0), matrix),
    "lse": (lambda x: x.logsumexp(0), matrix),
    "norm3": (lambda x: x.norm(3, dim=1), matrix),
    "norminf": (lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1), matrix),
    "einsum": (lambda a, b: torch.einsum("...ij,...kj->ik...", a, b), made([2, 3, 4]), made([2, 5, 4], 2)),
    "group": (images(lambda x: F.group_norm(x, 3)), image),
    "batch": (images(lambda x: F.batch_norm(x, None, None, training=True)), image),
    "lerp": (lambda a, b: torch.lerp(a, b, 0.3), matrix, made([5, 4], 4)),
    "roll": (lambda x: x.roll((1, -2), (0, 1)), matrix),
    "reflect": (lambda x: F.pad(x, (2, 1), mode="reflect"), matrix),
    "circ": (images(lambda x: F.pad(x, (1, 2, 0, 3), mode="circular")), image),
    "max": (lambda x: x.max(1).values, matrix),
    "median": (lambda x: x.median(1).values, matrix),
    "clamp": (lambda x: x.clamp(-0.5, 0.7), matrix),
    # Time first; a repeated label, no label, padded rows, a row with too few steps.
    "ctc": (ctc(reduction="mean"), sounds),
    "ctc_none": (ctc(reduction="none", blank=3), sounds),
    "ctc_lengths": (ctc([7, 4, 5], [3, 0, 2], reduction="mean"), sounds),
    "ctc_sum": (ctc([7, 6, 5], [1, 2, 3], reduction="sum"), sounds),
    "ctc_zero": (ctc([7, 2, 1], [3, 2, 2], reduction="mean", zero_infinity=True), sounds),
}


def numbers(x):
    return [float(f"{v:.13g}") for v in x.flatten().tolist()]


golden = {}
for name, (f, *operands) in CASES.items():
    leaves = [x.clone().requires_grad_() for x in operands]
    y = f(*leaves)
    (y * made(list(y.shape), 0.37)).sum().backward()
    golden[name] = {"y": numbers(y.detach()), "shape": list(y.shape), "g": [numbers(x.grad) for x in leaves]}
pathlib.Path(__file__).with_name("ops.json").write_text(json.dumps(golden, separators=(",", ":")))
