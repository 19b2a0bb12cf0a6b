"""Expected values of recurrent layers, by PyTorch and Keras in float64: `python test/golden/make_recurrent.py` (torch, tensorflow, keras) writes
recurrent.safetensors beside it.

Weights and inputs are not stored: both sides compute them by `values` (test/nn/recurrent.test.ts has the same formula). Stored are outputs, last states
and all gradients; the cases stand in the file's metadata.
"""
import json
import math
import pathlib
import struct

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
keras.backend.set_floatx('float64')
cases, stored = [], {}
N, T, I, H = 3, 5, 4, 3


def values(shape, seed, scale=1.0):
    index = np.arange(math.prod(shape), dtype=np.int64)
    return (((index * 7919 + seed * 104729) % 10007) / 5003.5 - 1).reshape(shape) * scale


def keep(key, array):
    stored[key] = np.ascontiguousarray(np.asarray(array, dtype=np.float64))


def camel(name):  # weight_ih_l0_reverse -> weightIhL0Reverse
    head, *rest = name.split('_')
    return head + ''.join(part.title() for part in rest)


def given(**options):
    return {key: value for key, value in options.items() if value is not None}


def pytorch(kind, layers, bidirectional, lengths, nonlinearity=None, proj=0):
    name = f'{kind}{"" if nonlinearity is None else " " + nonlinearity}{" projected" if proj else ""} {layers}{" both" if bidirectional else ""}{" lengths" if lengths else ""}'
    options = dict(num_layers=layers, bidirectional=bidirectional, batch_first=True)
    if nonlinearity is not None:
        options['nonlinearity'] = nonlinearity
    if proj:
        options['proj_size'] = proj
    layer = getattr(nn, kind)(I, H, **options)
    with torch.no_grad():
        for k, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.from_numpy(values(parameter.shape, 100 + k)))
    places = layers * (2 if bidirectional else 1)
    x = torch.from_numpy(values((N, T, I), 1)).requires_grad_()
    widths = [proj or H, H] if kind == 'LSTM' else [H]
    states = [torch.from_numpy(values((places, N, width), 2 + k)).requires_grad_() for k, width in enumerate(widths)]
    start = tuple(states) if kind == 'LSTM' else states[0]
    if lengths:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        out, last = layer(packed, start)
        out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    else:
        out, last = layer(x, start)
    last = last if kind == 'LSTM' else (last,)
    loss = (out * torch.from_numpy(values(out.shape, 50))).sum()
    for k, state in enumerate(last):
        loss = loss + (state * torch.from_numpy(values(state.shape, 51 + k))).sum()
    loss.backward()
    keep(f'{name}.output', out.detach())
    for key, state, first in zip('hc', last, states):
        keep(f'{name}.{key}', state.detach())
        keep(f'{name}.d{key}', first.grad)
    keep(f'{name}.dx', x.grad)
    for key, parameter in layer.named_parameters():
        keep(f'{name}.grad.{camel(key)}', parameter.grad)
    cases.append(dict(name=name, kind=kind, layers=layers, bidirectional=bidirectional, lengths=lengths,
                      options=given(nonlinearity=nonlinearity, projSize=proj or None)))


def normalised(lengths):
    """Ba et al. 2016, of single ops: no layer of PyTorch's has it."""
    shapes = dict(weightIhL0=[4 * H, I], weightHhL0=[4 * H, H], biasIhL0=[4 * H], biasHhL0=[4 * H], normIhL0=[4 * H], normHhL0=[4 * H], normCL0=[H], biasCL0=[H])
    own = {key: torch.from_numpy(values(shape, 100 + k)).requires_grad_() for k, (key, shape) in enumerate(shapes.items())}
    x = torch.from_numpy(values((N, T, I), 1)).requires_grad_()
    first = [torch.from_numpy(values((1, N, H), 2 + k)).requires_grad_() for k in range(2)]
    h, c = first[0][0], first[1][0]
    steps = []
    for t in range(T):
        ins = F.layer_norm(x[:, t] @ own['weightIhL0'].T, [4 * H], own['normIhL0'], own['biasIhL0'])
        i, f, g, o = (ins + F.layer_norm(h @ own['weightHhL0'].T, [4 * H], own['normHhL0'], own['biasHhL0'])).chunk(4, 1)
        c_next = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h_next = torch.sigmoid(o) * torch.tanh(F.layer_norm(c_next, [H], own['normCL0'], own['biasCL0']))
        inside = torch.tensor(lengths)[:, None] > t
        h, c = torch.where(inside, h_next, h), torch.where(inside, c_next, c)
        steps.append(torch.where(inside, h, 0))
    out, last = torch.stack(steps, 1), [h[None], c[None]]
    loss = (out * torch.from_numpy(values(out.shape, 50))).sum()
    for k, state in enumerate(last):
        loss = loss + (state * torch.from_numpy(values(state.shape, 51 + k))).sum()
    loss.backward()
    name = f'LSTM normalised{"" if min(lengths) == T else " lengths"}'
    keep(f'{name}.output', out.detach())
    for key, state, start in zip('hc', last, first):
        keep(f'{name}.{key}', state.detach())
        keep(f'{name}.d{key}', start.grad)
    keep(f'{name}.dx', x.grad)
    for key, parameter in own.items():
        keep(f'{name}.grad.{key}', parameter.grad)
    cases.append(dict(name=name, kind='LSTM', layers=1, bidirectional=False, lengths=lengths, options=dict(layerNorm=True)))


def of_keras(kind, masked, reset_after=True):
    """`masked`: steps that are passed over, also at the start and within."""
    options = dict(return_sequences=True) if reset_after else dict(return_sequences=True, reset_after=False)
    layer = {'LSTM': keras.layers.LSTM, 'GRU': keras.layers.GRU, 'RNN': keras.layers.SimpleRNN}[kind](H, **options)
    x = values((N, T, I), 1)
    layer.build((N, T, I))
    layer.set_weights([values(w.shape, 100 + k) for k, w in enumerate(layer.get_weights())])
    mask = None if not masked else np.array([[True] * 5, [False, True, True, False, True], [True, True, False, False, False]])
    name = f'keras {kind}{"" if reset_after else ", reset before"}{" masked" if masked else ""}'
    keep(f'{name}.output', layer(x, mask=mask))
    cases.append(dict(name=name, kind=kind, keras=True, mask=None if mask is None else mask.tolist(), options={} if reset_after else dict(resetAfter=False)))


def of_keras_bidirectional(kind, masked):
    one = {'LSTM': keras.layers.LSTM, 'GRU': keras.layers.GRU}[kind]
    layer = keras.layers.Bidirectional(one(H, return_sequences=True))
    x = values((N, T, I), 1)
    layer.build((N, T, I))
    layer.set_weights([values(w.shape, 100 + k) for k, w in enumerate(layer.get_weights())])
    mask = None if not masked else np.array([[True] * 5, [False, True, True, False, True], [True, True, False, False, False]])
    name = f'keras bidirectional {kind}{" masked" if masked else ""}'
    keep(f'{name}.output', layer(x, mask=mask))
    cases.append(dict(name=name, kind=kind, keras=True, bidirectional=True, mask=None if mask is None else mask.tolist(), options={}))


for kind in ('LSTM', 'GRU'):
    for layers in (1, 2, 3):
        for bidirectional in (False, True):
            for lengths in (None, [5, 1, 3]):
                pytorch(kind, layers, bidirectional, lengths)
for nonlinearity in ('tanh', 'relu'):
    for layers in (1, 2, 3):
        pytorch('RNN', layers, True, [2, 5, 4], nonlinearity)
        pytorch('RNN', layers, False, None, nonlinearity)
for layers, bidirectional, lengths in ((1, False, None), (1, True, [5, 1, 3]), (2, True, None), (3, False, [2, 5, 4])):
    pytorch('LSTM', layers, bidirectional, lengths, proj=2)
for lengths in ([T] * N, [5, 1, 3]):
    normalised(lengths)
of_keras('GRU', False, reset_after=False)
of_keras('GRU', True, reset_after=False)
for kind in ('LSTM', 'GRU', 'RNN'):
    for masked in (False, True):
        of_keras(kind, masked)
for kind in ('LSTM', 'GRU'):
    for masked in (False, True):
        of_keras_bidirectional(kind, masked)

header, offset = {'__metadata__': {'cases': json.dumps(cases)}}, 0
for key, array in stored.items():
    header[key] = dict(dtype='F64', shape=list(array.shape), data_offsets=[offset, offset + array.nbytes])
    offset += array.nbytes
text = json.dumps(header, separators=(',', ':')).encode()
text += b' ' * (-len(text) % 8)
with open(pathlib.Path(__file__).with_name('recurrent.safetensors'), 'wb') as file:
    file.write(struct.pack('<Q', len(text)) + text)
    for array in stored.values():
        file.write(array.tobytes())
print(len(cases), 'cases,', offset, 'bytes')
