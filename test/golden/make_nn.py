"""Expected values of layers and losses, by PyTorch in float64: `python test/golden/make_nn.py` writes nn.safetensors beside it.

Weights and inputs are not stored: both sides compute them by `values` (test/nn/golden.ts has the same formula), in this library's layout
(NHWC, weights [O, KH, KW, I]). Stored are outputs, gradients and buffers; the cases themselves stand in the file's metadata.
"""
import json
import math
import pathlib
import struct

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
cases, stored = [], {}


def values(shape, seed, scale=1.0):
    n = math.prod(shape)
    index = torch.arange(n, dtype=torch.int64)
    return (((index * 7919 + seed * 104729) % 10007).double() / 5003.5 - 1).mul(scale).reshape(shape)


def last(t):  # channels second -> channels last
    return t if t.ndim < 3 else t.movedim(1, -1)


def first(t):
    return t if t.ndim < 3 else t.movedim(-1, 1)


def keep(key, t):
    stored[key] = t.detach().to(torch.float64).contiguous()


def camel(name):
    head, *rest = name.split('_')
    return head + ''.join(part.title() for part in rest)


def layer(name, ours, args, theirs, shape, images=True, training=True, scale=1.0, ids=None, passes=1, second=True):
    """`images`: activations and weights go between NHWC and NCHW. `passes`: forward calls before the one compared (running statistics)."""
    channels_last, channels_second = (last, first) if images else (lambda t: t, lambda t: t)
    theirs.train(training)
    with torch.no_grad():
        for k, parameter in enumerate(theirs.parameters()):
            ours_shape = channels_last(parameter).shape
            parameter.copy_(channels_second(values(ours_shape, 100 + k)))
    for k in range(passes):
        theirs.zero_grad()
        if ids is None:
            x_ours = values(shape, 1 + k, scale).requires_grad_()
            y = theirs(channels_second(x_ours))
        else:
            x_ours = (torch.arange(math.prod(shape)) * 7 + 3).remainder(ids).reshape(shape)
            y = theirs(x_ours)
        y = channels_last(y)
        y.backward(values(y.shape, 50))
    keep(f'{name}.y', y)
    if ids is None:
        keep(f'{name}.dx', x_ours.grad)
    for key, parameter in theirs.named_parameters():
        keep(f'{name}.grad.{camel(key)}', channels_last(parameter.grad))
    for key, buffer in theirs.named_buffers():
        keep(f'{name}.buffer.{camel(key)}', buffer)
    cases.append(dict(kind='layer', name=name, layer=ours, args=args, shape=list(shape), training=training, scale=scale, ids=ids, passes=passes))


# -- linear, embedding, dropout in evaluation
layer('linear', 'Linear', [5, 3], nn.Linear(5, 3), (4, 5))
layer('linear no bias', 'Linear', [5, 3, dict(bias=False)], nn.Linear(5, 3, bias=False), (4, 5))
layer('linear sequence', 'Linear', [5, 3], nn.Linear(5, 3), (2, 3, 5), images=False)
layer('linear vector', 'Linear', [5, 3], nn.Linear(5, 3), (5,), images=False)
layer('embedding', 'Embedding', [6, 4], nn.Embedding(6, 4), (2, 5), ids=6, images=False)
layer('embedding padding', 'Embedding', [6, 4, dict(paddingIdx=3)], nn.Embedding(6, 4, padding_idx=3), (2, 5), ids=6, images=False)
layer('dropout eval', 'Dropout', [0.5], nn.Dropout(0.5), (3, 4), training=False)
layer('flatten', 'Flatten', [], nn.Flatten(), (2, 3, 4), images=False)
layer('flatten dims', 'Flatten', [dict(startDim=0, endDim=1)], nn.Flatten(0, 1), (2, 3, 4), images=False)
layer('unflatten', 'Unflatten', [1, [2, 3]], nn.Unflatten(1, (2, 3)), (2, 6), images=False)
layer('identity', 'Identity', [], nn.Identity(), (2, 3))

# -- convolution: our 'padding' [h, w] or [top, bottom, left, right]
layer('conv2d', 'Conv2d', [2, 3, 3], nn.Conv2d(2, 3, 3), (2, 5, 6, 2))
layer('conv2d no bias', 'Conv2d', [2, 3, 3, dict(bias=False)], nn.Conv2d(2, 3, 3, bias=False), (1, 5, 5, 2))
layer('conv2d stride', 'Conv2d', [2, 3, 3, dict(stride=2, padding=1)], nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 6, 5, 2))
layer('conv2d stride pair', 'Conv2d', [2, 2, [3, 2], dict(stride=[2, 1], padding=[0, 1])], nn.Conv2d(2, 2, (3, 2), stride=(2, 1), padding=(0, 1)), (1, 7, 5, 2))
layer('conv2d dilation', 'Conv2d', [2, 2, 3, dict(dilation=2, padding=2)], nn.Conv2d(2, 2, 3, dilation=2, padding=2), (1, 6, 6, 2))
layer('conv2d dilation pair', 'Conv2d', [1, 2, 2, dict(dilation=[1, 3])], nn.Conv2d(1, 2, 2, dilation=(1, 3)), (1, 4, 6, 1))
layer('conv2d same odd', 'Conv2d', [2, 2, 3, dict(padding='same')], nn.Conv2d(2, 2, 3, padding='same'), (1, 5, 4, 2))
layer('conv2d same even', 'Conv2d', [2, 2, [2, 4], dict(padding='same')], nn.Conv2d(2, 2, (2, 4), padding='same'), (1, 5, 5, 2))
layer('conv2d same dilated', 'Conv2d', [1, 2, 2, dict(padding='same', dilation=[3, 2])], nn.Conv2d(1, 2, 2, padding='same', dilation=(3, 2)), (1, 5, 5, 1))
layer('conv2d valid', 'Conv2d', [2, 2, 3, dict(padding='valid', stride=2)], nn.Conv2d(2, 2, 3, padding='valid', stride=2), (1, 6, 6, 2))
layer('conv2d groups', 'Conv2d', [4, 6, 3, dict(groups=2, padding=1)], nn.Conv2d(4, 6, 3, groups=2, padding=1), (1, 4, 4, 4))
layer('conv2d depthwise', 'Conv2d', [3, 6, 3, dict(groups=3)], nn.Conv2d(3, 6, 3, groups=3), (2, 4, 4, 3))
layer('conv2d pointwise', 'Conv2d', [3, 4, 1], nn.Conv2d(3, 4, 1), (2, 3, 3, 3))


class Asymmetric(nn.Conv2d):
    def forward(self, x):
        return super().forward(F.pad(x, (0, 2, 1, 0)))


layer('conv2d four paddings', 'Conv2d', [2, 2, 3, dict(padding=[1, 0, 0, 2])], Asymmetric(2, 2, 3), (1, 4, 4, 2))
layer('conv1d', 'Conv1d', [2, 3, 3], nn.Conv1d(2, 3, 3), (2, 7, 2))
layer('conv1d options', 'Conv1d', [4, 4, 3, dict(stride=2, padding=2, dilation=2, groups=2, bias=False)],
      nn.Conv1d(4, 4, 3, stride=2, padding=2, dilation=2, groups=2, bias=False), (2, 9, 4))
layer('conv1d same', 'Conv1d', [2, 2, 4, dict(padding='same')], nn.Conv1d(2, 2, 4, padding='same'), (1, 6, 2))
layer('conv transpose', 'ConvTranspose2d', [3, 2, 3], nn.ConvTranspose2d(3, 2, 3), (2, 3, 4, 3))
layer('conv transpose stride', 'ConvTranspose2d', [2, 3, 3, dict(stride=2, padding=1, outputPadding=1)],
      nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (1, 3, 3, 2))
layer('conv transpose pairs', 'ConvTranspose2d', [2, 2, [2, 3], dict(stride=[3, 2], padding=[0, 1], outputPadding=[2, 0], bias=False)],
      nn.ConvTranspose2d(2, 2, (2, 3), stride=(3, 2), padding=(0, 1), output_padding=(2, 0), bias=False), (1, 3, 3, 2))
layer('conv transpose groups', 'ConvTranspose2d', [4, 6, 3, dict(groups=2, dilation=2)], nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2), (1, 3, 3, 4))
layer('conv transpose output padding', 'ConvTranspose2d', [2, 2, 3, dict(stride=[1, 2], dilation=[2, 3], outputPadding=[1, 2])],
      nn.ConvTranspose2d(2, 2, 3, stride=(1, 2), dilation=(2, 3), output_padding=(1, 2)), (2, 4, 3, 2))

# -- pooling
layer('max pool', 'MaxPool2d', [2], nn.MaxPool2d(2), (2, 5, 6, 2))
layer('max pool options', 'MaxPool2d', [3, dict(stride=2, padding=1)], nn.MaxPool2d(3, 2, 1), (1, 6, 7, 2))
layer('max pool pair', 'MaxPool2d', [[2, 3], dict(stride=[1, 2], padding=[0, 1])], nn.MaxPool2d((2, 3), (1, 2), (0, 1)), (1, 5, 6, 2))
layer('max pool dilation', 'MaxPool2d', [2, dict(stride=1, dilation=2)], nn.MaxPool2d(2, 1, dilation=2), (1, 6, 5, 1))
layer('max pool ceil', 'MaxPool2d', [2, dict(ceilMode=True)], nn.MaxPool2d(2, ceil_mode=True), (1, 5, 7, 2))
layer('max pool 1d', 'MaxPool1d', [3, dict(stride=2, padding=1)], nn.MaxPool1d(3, 2, 1), (2, 7, 2))
layer('avg pool', 'AvgPool2d', [2], nn.AvgPool2d(2), (2, 5, 6, 2))
layer('avg pool padded', 'AvgPool2d', [3, dict(stride=2, padding=1)], nn.AvgPool2d(3, 2, 1), (1, 6, 7, 2))
layer('avg pool exclude', 'AvgPool2d', [3, dict(stride=2, padding=1, countIncludePad=False)], nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 6, 7, 2))
layer('avg pool ceil', 'AvgPool2d', [[2, 3], dict(stride=2, padding=[0, 1], ceilMode=True)], nn.AvgPool2d((2, 3), 2, (0, 1), ceil_mode=True), (1, 5, 6, 2))
layer('avg pool ceil exclude', 'AvgPool2d', [3, dict(stride=2, padding=1, ceilMode=True, countIncludePad=False)],
      nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 6, 6, 1))
layer('avg pool 1d', 'AvgPool1d', [3, dict(stride=2, padding=1, countIncludePad=False)], nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 8, 2))
layer('adaptive avg', 'AdaptiveAvgPool2d', [[3, 2]], nn.AdaptiveAvgPool2d((3, 2)), (2, 5, 7, 2))
layer('adaptive avg one', 'AdaptiveAvgPool2d', [1], nn.AdaptiveAvgPool2d(1), (2, 4, 3, 2))
layer('adaptive avg larger', 'AdaptiveAvgPool2d', [5], nn.AdaptiveAvgPool2d(5), (1, 3, 4, 2))
layer('adaptive avg keep', 'AdaptiveAvgPool2d', [[None, 2]], nn.AdaptiveAvgPool2d((None, 2)), (1, 3, 5, 2))
layer('adaptive avg 1d', 'AdaptiveAvgPool1d', [3], nn.AdaptiveAvgPool1d(3), (2, 7, 2))
layer('adaptive avg 1d larger', 'AdaptiveAvgPool1d', [5], nn.AdaptiveAvgPool1d(5), (1, 3, 2))
layer('adaptive max 1d', 'AdaptiveMaxPool1d', [3], nn.AdaptiveMaxPool1d(3), (2, 7, 2))
layer('adaptive max', 'AdaptiveMaxPool2d', [[3, 2]], nn.AdaptiveMaxPool2d((3, 2)), (2, 5, 7, 2))

# -- normalisation
for mode in (True, False):
    tag = 'train' if mode else 'eval'
    layer(f'batch norm 2d {tag}', 'BatchNorm2d', [3], nn.BatchNorm2d(3), (2, 3, 4, 3), training=mode, passes=2)
    layer(f'batch norm no affine {tag}', 'BatchNorm2d', [2, dict(affine=False, eps=1e-3)], nn.BatchNorm2d(2, affine=False, eps=1e-3), (2, 3, 2, 2), training=mode)
    layer(f'batch norm untracked {tag}', 'BatchNorm2d', [2, dict(trackRunningStats=False)], nn.BatchNorm2d(2, track_running_stats=False), (2, 3, 2, 2), training=mode)
layer('batch norm momentum', 'BatchNorm2d', [2, dict(momentum=0.3)], nn.BatchNorm2d(2, momentum=0.3), (2, 3, 2, 2), passes=3)
layer('batch norm cumulative', 'BatchNorm2d', [2, dict(momentum=None)], nn.BatchNorm2d(2, momentum=None), (2, 3, 2, 2), passes=3)
layer('batch norm 1d', 'BatchNorm1d', [4], nn.BatchNorm1d(4), (6, 4), passes=2)
layer('batch norm 1d sequence', 'BatchNorm1d', [3], nn.BatchNorm1d(3), (2, 5, 3))
layer('layer norm', 'LayerNorm', [5], nn.LayerNorm(5), (3, 5), images=False)
layer('layer norm two', 'LayerNorm', [[2, 3], dict(eps=1e-3)], nn.LayerNorm((2, 3), eps=1e-3), (4, 2, 3), images=False)
layer('layer norm no bias', 'LayerNorm', [5, dict(bias=False)], nn.LayerNorm(5, bias=False), (2, 3, 5), images=False)
layer('layer norm plain', 'LayerNorm', [5, dict(elementwiseAffine=False)], nn.LayerNorm(5, elementwise_affine=False), (3, 5), images=False)
layer('group norm', 'GroupNorm', [2, 4], nn.GroupNorm(2, 4), (2, 3, 2, 4))
layer('group norm plain', 'GroupNorm', [3, 6, dict(affine=False, eps=1e-3)], nn.GroupNorm(3, 6, affine=False, eps=1e-3), (2, 3, 6))

class Hardsigmoid(nn.Module):  # PyTorch's own multiplies gradients by 1/6 in float32, in float64 too: 3e-8 off
    def forward(self, x):
        return F.relu6(x + 3) / 6


# -- activations
for ours, args, theirs in [
    ('ReLU', [], nn.ReLU()), ('LeakyReLU', [], nn.LeakyReLU()), ('LeakyReLU', [0.2], nn.LeakyReLU(0.2)), ('ELU', [], nn.ELU()), ('ELU', [0.7], nn.ELU(0.7)),
    ('SELU', [], nn.SELU()), ('GELU', [], nn.GELU()), ('GELU', [dict(approximate='tanh')], nn.GELU(approximate='tanh')), ('SiLU', [], nn.SiLU()),
    ('Mish', [], nn.Mish()), ('Sigmoid', [], nn.Sigmoid()), ('Tanh', [], nn.Tanh()), ('Softmax', [], nn.Softmax(-1)), ('Softmax', [0], nn.Softmax(0)),
    ('LogSoftmax', [], nn.LogSoftmax(-1)), ('Softplus', [], nn.Softplus()), ('Hardswish', [], nn.Hardswish()), ('Hardsigmoid', [], Hardsigmoid()),
    ('Softsign', [], nn.Softsign()), ('LogSigmoid', [], nn.LogSigmoid()), ('ReLU6', [], nn.ReLU6()), ('Hardtanh', [], nn.Hardtanh()),
    ('Hardtanh', [-2, 0.5], nn.Hardtanh(-2, 0.5)), ('PReLU', [], nn.PReLU()), ('PReLU', [7, dict(init=0.1)], nn.PReLU(7, 0.1)),
]:
    layer(f'{ours} {json.dumps(args)}', ours, args, theirs, (3, 7), scale=5.0)
layer('prelu images', 'PReLU', [3], nn.PReLU(3), (2, 4, 5, 3))


# -- losses
def make(spec):
    shape, kind = spec['shape'], spec['kind']
    n = math.prod(shape)
    index = torch.arange(n)
    if kind == 'float':
        return values(shape, spec['seed'], spec.get('scale', 1.0))
    if kind == 'unit':  # inside (0, 1)
        return values(shape, spec['seed']) * 0.45 + 0.5
    if kind == 'rows':  # rows that add up to one
        raw = values(shape, spec['seed']) + 1.1
        return raw / raw.sum(-1, keepdim=True)
    if kind == 'labels':
        labels = (index * 7 + 3).remainder(spec['classes'])
        if 'ignore' in spec:
            labels = torch.where(index % 3 == 1, spec['ignore'], labels)
        return labels.reshape(shape)
    if kind == 'sign':
        return torch.where(index % 3 == 0, -1.0, 1.0).reshape(shape)
    if kind == 'onehot':
        return F.one_hot((index[: n // shape[-1]] * 7 + 3).remainder(shape[-1]), shape[-1]).double().reshape(shape)
    raise ValueError(kind)


def loss(name, ours, options, specs, theirs):
    inputs = [make(spec) for spec in specs]
    differentiable = [k for k, spec in enumerate(specs) if spec.get('grad')]
    for k in differentiable:
        inputs[k].requires_grad_()
    y = theirs(*inputs)
    y.backward(values(y.shape, 50))
    keep(f'{name}.y', y)
    for k in differentiable:
        keep(f'{name}.d{k}', inputs[k].grad)
    cases.append(dict(kind='loss', name=name, loss=ours, options=options, inputs=specs))


def f(*shape, seed=1, **more):
    return dict(kind='float', shape=list(shape), seed=seed, **more)


def t(values_):
    return torch.tensor(values_)


prediction, target = f(4, 3, grad=True, scale=2.0), f(4, 3, seed=2, scale=2.0, grad=True)
for reduction in ('mean', 'sum', 'none'):
    o = dict(reduction=reduction)
    loss(f'mse {reduction}', 'mse', o, [prediction, target], lambda a, b: F.mse_loss(a, b, **o))
    loss(f'l1 {reduction}', 'l1', o, [prediction, target], lambda a, b: F.l1_loss(a, b, **o))
    loss(f'huber {reduction}', 'huber', o, [prediction, target], lambda a, b: F.huber_loss(a, b, **o))
    loss(f'smooth l1 {reduction}', 'smoothL1', o, [prediction, target], lambda a, b: F.smooth_l1_loss(a, b, **o))
    unit = [dict(kind='unit', shape=[4, 3], seed=1, grad=True), dict(kind='unit', shape=[4, 3], seed=2)]
    loss(f'bce {reduction}', 'bce', o, unit, lambda a, b: F.binary_cross_entropy(a, b, **o))
    loss(f'bce logits {reduction}', 'bceWithLogits', o, [f(4, 3, grad=True, scale=6.0), unit[1]], lambda a, b: F.binary_cross_entropy_with_logits(a, b, **o))
    w = [0.5, 1.0, 2.0]
    loss(f'bce weight {reduction}', 'bce', dict(o, weight=w), unit, lambda a, b: F.binary_cross_entropy(a, b, weight=t(w), **o))
    loss(f'bce logits weights {reduction}', 'bceWithLogits', dict(o, weight=w, posWeight=[3.0, 0.5, 1.0]), [f(4, 3, grad=True, scale=6.0), unit[1]],
         lambda a, b: F.binary_cross_entropy_with_logits(a, b, weight=t(w), pos_weight=t([3.0, 0.5, 1.0]), **o))

    logits, labels = f(5, 4, grad=True, scale=4.0), dict(kind='labels', shape=[5], classes=4)
    ignored = dict(kind='labels', shape=[5], classes=4, ignore=-100)
    cw = [0.5, 1.0, 2.0, 1.5]
    soft = dict(kind='rows', shape=[5, 4], seed=3, grad=True)
    loss(f'cross entropy {reduction}', 'crossEntropy', o, [logits, labels], lambda a, b: F.cross_entropy(a, b, **o))
    loss(f'cross entropy ignore {reduction}', 'crossEntropy', o, [logits, ignored], lambda a, b: F.cross_entropy(a, b, **o))
    loss(f'cross entropy ignore index {reduction}', 'crossEntropy', dict(o, ignoreIndex=2), [logits, labels], lambda a, b: F.cross_entropy(a, b, ignore_index=2, **o))
    loss(f'cross entropy smooth {reduction}', 'crossEntropy', dict(o, labelSmoothing=0.1), [logits, ignored], lambda a, b: F.cross_entropy(a, b, label_smoothing=0.1, **o))
    loss(f'cross entropy weight {reduction}', 'crossEntropy', dict(o, weight=cw), [logits, ignored], lambda a, b: F.cross_entropy(a, b, weight=t(cw), **o))
    loss(f'cross entropy weight smooth {reduction}', 'crossEntropy', dict(o, weight=cw, labelSmoothing=0.2), [logits, ignored],
         lambda a, b: F.cross_entropy(a, b, weight=t(cw), label_smoothing=0.2, **o))
    loss(f'cross entropy one-hot {reduction}', 'crossEntropy', o, [logits, dict(kind='onehot', shape=[5, 4])], lambda a, b: F.cross_entropy(a, b, **o))
    loss(f'cross entropy soft {reduction}', 'crossEntropy', dict(o, weight=cw, labelSmoothing=0.2), [logits, soft],
         lambda a, b: F.cross_entropy(a, b, weight=t(cw), label_smoothing=0.2, **o))
    rows = dict(kind='rows', shape=[5, 4], seed=1, grad=True)
    # probabilities: the logarithm of rows that add up to one is their log-softmax, but the gradient passes through the division by their sum
    normal = lambda p: (p / p.sum(-1, keepdim=True)).log()
    loss(f'cross entropy probabilities {reduction}', 'crossEntropy', dict(o, fromLogits=False), [rows, ignored], lambda a, b: F.nll_loss(normal(a), b, **o))
    loss(f'cross entropy probabilities one-hot {reduction}', 'crossEntropy', dict(o, fromLogits=False, weight=cw, labelSmoothing=0.1), [rows, dict(kind='onehot', shape=[5, 4])],
         lambda a, b: F.cross_entropy(normal(a), b, weight=t(cw), label_smoothing=0.1, **o))
    images = [f(2, 3, 2, 4, grad=True, scale=3.0), dict(kind='labels', shape=[2, 3, 2], classes=4, ignore=-100)]
    loss(f'cross entropy images {reduction}', 'crossEntropy', o, images, lambda a, b: F.cross_entropy(first(a), b, **o))
    loss(f'nll {reduction}', 'nll', dict(o, weight=cw, ignoreIndex=1), [logits, labels], lambda a, b: F.nll_loss(a, b, weight=t(cw), ignore_index=1, **o))
    loss(f'hinge embedding {reduction}', 'hingeEmbedding', dict(o, margin=0.8), [prediction, dict(kind='sign', shape=[4, 3])],
         lambda a, b: F.hinge_embedding_loss(a, b, margin=0.8, **o))
    loss(f'multi margin {reduction}', 'multiMargin', dict(o, weight=cw, margin=0.7), [logits, labels], lambda a, b: F.multi_margin_loss(a, b, weight=t(cw), margin=0.7, **o))
    loss(f'multi margin square {reduction}', 'multiMargin', dict(o, p=2), [logits, labels], lambda a, b: F.multi_margin_loss(a, b, p=2, **o))
    loss(f'hinge {reduction}', 'hinge', o, [prediction, dict(kind='sign', shape=[4, 3])],
         lambda a, b: dict(mean=torch.mean, sum=torch.sum, none=lambda v: v)[reduction](torch.clamp(1 - a * b, min=0)))
    pair = [f(4, 3, grad=True), f(4, 3, seed=2, grad=True)]
    loss(f'cosine embedding {reduction}', 'cosineEmbedding', dict(o, margin=0.1), [*pair, dict(kind='sign', shape=[4])],
         lambda a, b, y: F.cosine_embedding_loss(a, b, y, margin=0.1, **o))

loss('huber delta', 'huber', dict(delta=0.6), [prediction, target], lambda a, b: F.huber_loss(a, b, delta=0.6))
loss('smooth l1 beta', 'smoothL1', dict(beta=0.6), [prediction, target], lambda a, b: F.smooth_l1_loss(a, b, beta=0.6))
loss('smooth l1 zero', 'smoothL1', dict(beta=0), [prediction, target], lambda a, b: F.smooth_l1_loss(a, b, beta=0))
for reduction in ('batchmean', 'mean', 'sum', 'none'):
    log_rows, rows = f(4, 3, grad=True, scale=2.0), dict(kind='rows', shape=[4, 3], seed=2, grad=True)
    loss(f'kl {reduction}', 'klDiv', dict(reduction=reduction), [log_rows, rows], lambda a, b: F.kl_div(a, b, reduction=reduction))
    loss(f'kl log {reduction}', 'klDiv', dict(reduction=reduction, logTarget=True), [log_rows, f(4, 3, seed=2, grad=True)],
         lambda a, b: F.kl_div(a, b, reduction=reduction, log_target=True))
loss('bce zero and one', 'bce', {}, [dict(kind='onehot', shape=[3, 2], grad=True), dict(kind='unit', shape=[3, 2], seed=2)], F.binary_cross_entropy)
loss('cosine similarity', 'cosineSimilarity', {}, [f(4, 3, grad=True), f(4, 3, seed=2, grad=True)], F.cosine_similarity)
loss('cosine similarity dim', 'cosineSimilarity', dict(dim=0), [f(4, 3, grad=True), f(4, 3, seed=2, grad=True)], lambda a, b: F.cosine_similarity(a, b, dim=0))

# -- a network as PyTorch keeps it, for load(file, { from: 'torch' }): its names, its layouts, an image and the output
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(24, 5)).eval()
with torch.no_grad():
    for k, value in enumerate(network.state_dict().values()):
        value.copy_(values(value.shape, 200 + k).abs().add(0.1) if value.ndim == 1 else values(value.shape, 200 + k) if value.ndim > 1 else value)
for key, value in network.state_dict().items():
    keep(f'torch.{key}', value)
keep('torch network.y', network(first(values((2, 4, 5, 3), 1))))

# -- a safetensors file: header length, header, numbers
header, offset = {'__metadata__': {'cases': json.dumps(cases, separators=(',', ':')), 'torch': torch.__version__}}, 0
for key, tensor in stored.items():
    header[key] = dict(dtype='F64', shape=list(tensor.shape), data_offsets=[offset, offset := offset + tensor.numel() * 8])
text = json.dumps(header, separators=(',', ':')).encode()
text += b' ' * (-len(text) % 8)
path = pathlib.Path(__file__).with_name('nn.safetensors')
path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(tensor.numpy().tobytes() for tensor in stored.values()))
print(f'{len(cases)} cases, {path.stat().st_size} bytes')
