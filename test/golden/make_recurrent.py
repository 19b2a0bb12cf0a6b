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


def pytorch(kind, layers, bidirectional, lengths, nonlinearity=None):
    name = f'{kind}{"" if nonlinearity is None else " " + nonlinearity} {layers}{" both" if bidirectional else ""}{" lengths" if lengths else ""}'
    options = dict(num_layers=layers, bidirectional=bidirectional, batch_first=True)
    if nonlinearity is not None:
        options['nonlinearity'] = nonlinearity
    layer = getattr(nn, kind)(I, H, **options)
    with torch.no_grad():
        for k, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.from_numpy(values(parameter.shape, 100 + k)))
    places = layers * (2 if bidirectional else 1)
    x = torch.from_numpy(values((N, T, I), 1)).requires_grad_()
    states = [torch.from_numpy(values((places, N, H), 2 + k)).requires_grad_() for k in range(2 if kind == 'LSTM' else 1)]
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
    cases.append(dict(name=name, kind=kind, layers=layers, bidirectional=bidirectional, lengths=lengths, nonlinearity=nonlinearity))


def of_keras(kind, masked):
    """`masked`: steps that are passed over, also at the start and within."""
    layer = {'LSTM': keras.layers.LSTM, 'GRU': keras.layers.GRU, 'RNN': keras.layers.SimpleRNN}[kind](H, return_sequences=True)
    x = values((N, T, I), 1)
    layer.build((N, T, I))
    layer.set_weights([values(w.shape, 100 + k) for k, w in enumerate(layer.get_weights())])
    mask = None if not masked else np.array([[True] * 5, [False, True, True, False, True], [True, True, False, False, False]])
    name = f'keras {kind}{" masked" if masked else ""}'
    keep(f'{name}.output', layer(x, mask=mask))
    cases.append(dict(name=name, kind=kind, keras=True, mask=None if mask is None else mask.tolist()))


for kind in ('LSTM', 'GRU'):
    for layers in (1, 2, 3):
        for bidirectional in (False, True):
            for lengths in (None, [5, 1, 3]):
                pytorch(kind, layers, bidirectional, lengths)
for nonlinearity in ('tanh', 'relu'):
    for layers in (1, 2, 3):
        pytorch('RNN', layers, True, [2, 5, 4], nonlinearity)
        pytorch('RNN', layers, False, None, nonlinearity)
for kind in ('LSTM', 'GRU', 'RNN'):
    for masked in (False, True):
        of_keras(kind, masked)

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
