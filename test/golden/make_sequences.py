"""Logits and gradients of the models for sequences in ts/models, by PyTorch in float64: `python make_sequences.py > sequences.json`.

Weights are not stored: both sides draw the k-th parameter, in this library's order and layout, as scale * uniform(k + 1) (make.py, formula.ts).
"""
import json

import torch
from torch import nn
from torch.nn import functional as F

from make import hashes, uniform

torch.set_default_dtype(torch.float64)
cases = []


def ids(stream, shape, classes, least=0):
    count = torch.Size(shape).numel()
    return torch.from_numpy(least + hashes(stream, count).astype('int64') % (classes - least)).reshape(shape)


def draw(parameters, scale=0.5):
    """Fills parameters in our order; a convolution's [O, I, K] is our [O, K, I]."""
    with torch.no_grad():
        for k, (name, p) in enumerate(parameters):
            shape = [p.shape[0], p.shape[2], p.shape[1]] if p.ndim == 3 else list(p.shape)
            value = torch.from_numpy(scale * uniform(k + 1, p.numel())).reshape(shape)
            p.copy_(value.transpose(1, 2) if p.ndim == 3 else value)


def case(name, options, inputs, parameters, logits, labels, scale=0.5, loss=None):
    (loss(logits, labels) if loss else F.cross_entropy(logits.flatten(0, -2), labels.flatten())).backward()
    gradients = {key: p.grad.transpose(1, 2) if p.ndim == 3 else p.grad for key, p in parameters if p.grad is not None}
    cases.append(dict(
        model=name, options=options, scale=scale, inputs={key: value.tolist() for key, value in inputs.items()}, labels=labels.tolist(), logits=logits.tolist(),
        gradients={key: g.reshape(-1).tolist() for key, g in gradients.items()},
    ))


LAYER = ['weightIh', 'weightHh', 'biasIh', 'biasHh']


def recurrent(name, rnn):
    """Its parameters under our names, in our order, which is PyTorch's."""
    return [(f'{name}.{LAYER[i % 4]}L{i // 4}', p) for i, p in enumerate(rnn.parameters())]


def named(name, module):
    return [(f'{name}.{key}', p) for key, p in module.named_parameters()]


def text_cnn(vectors, lengths, max_norm):
    """Kim (2014), the filters' windows that hold padding alone left out; the rows of the head shortened to max_norm."""
    vocabulary, width, filters, outputs, widths = 11, 6, 4, 3, [1, 3, 5]
    tables = {'embedding': vectors != 'static', 'fixed': vectors != 'tuned'}
    tables = {key: nn.Embedding(vocabulary, width, padding_idx=0) for key, wanted in tables.items() if wanted}
    convs = [nn.Conv1d(width, filters, w, padding=w - 1) for w in widths]
    head = nn.Linear(filters * len(widths), outputs)
    parameters = [(f'{key}.weight', t.weight) for key, t in tables.items()]
    for i, conv in enumerate(convs):
        parameters += named(f'convs.{i}', conv)
    parameters += named('head', head)
    draw(parameters)
    if 'fixed' in tables:
        tables['fixed'].weight.requires_grad = False
    with torch.no_grad():
        for t in tables.values():
            t.weight[0] = 0
        head.weight.div_(head.weight.norm(dim=1, keepdim=True).clamp(min=max_norm) / max_norm)
    words = ids(500, (4, 7), vocabulary, 1)
    inside = torch.arange(7) < torch.tensor(lengths or [7] * 4)[:, None]
    words = words * inside
    x = sum(t(words) for t in tables.values()).transpose(1, 2)
    maxima = []
    for c, w in zip(convs, widths):
        counted = torch.arange(7 + w - 1) < torch.tensor(lengths or [7] * 4)[:, None] + w - 1
        maxima.append(F.relu(c(x)).masked_fill(~counted[:, None], 0).amax(2))
    inputs = dict(ids=words, **(dict(lengths=torch.tensor(lengths)) if lengths else {}))
    options = dict(vocabulary=vocabulary, embedding=width, vectors=vectors, widths=widths, filters=filters, dropout=0, maxNorm=max_norm, outputs=outputs)
    case('textCnn', options, inputs, parameters, head(torch.cat(maxima, 1)), ids(600, (4,), outputs))


def char_rnn(cell):
    vocabulary, width, hidden, layers = 9, 5, 6, 2
    table, head = nn.Embedding(vocabulary, width), nn.Linear(hidden, vocabulary)
    rnn = {'lstm': nn.LSTM, 'gru': nn.GRU}[cell](width, hidden, layers, batch_first=True)
    parameters = named('embedding', table) + recurrent('rnn', rnn) + named('head', head)
    draw(parameters)
    text = ids(500, (3, 8), vocabulary)
    options = dict(vocabulary=vocabulary, embedding=width, hidden=hidden, numLayers=layers, cell=cell)
    case('charRnn', options, dict(ids=text[:, :-1]), parameters, head(rnn(table(text[:, :-1]))[0]), text[:, 1:])


def seq2seq(cell, score, lengths):
    vocabulary, width, hidden, layers, steps = 9, 5, 4, 2, 6
    kind = {'lstm': nn.LSTM, 'gru': nn.GRU}[cell]
    source, target = nn.Embedding(vocabulary, width, padding_idx=0), nn.Embedding(vocabulary, width, padding_idx=0)
    encoder, decoder = kind(width, hidden, layers, batch_first=True, bidirectional=True), kind(width, hidden, layers, batch_first=True)
    key, query, energy = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden), nn.Linear(hidden, 1, bias=False)
    combine, head = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, vocabulary)
    places = [f'L{layer}{way}' for layer in range(layers) for way in ['', 'Reverse']]
    parameters = named('sourceEmbedding', source) + named('targetEmbedding', target)
    parameters += [(f'encoder.{LAYER[i % 4]}{places[i // 4]}', p) for i, p in enumerate(encoder.parameters())] + recurrent('decoder', decoder)
    parameters += named('key', key) if score != 'dot' else []
    parameters += named('query', query) + named('energy', energy) if score == 'additive' else []
    parameters += named('combine', combine) + named('head', head)
    draw(parameters, 1)
    with torch.no_grad():
        source.weight[0] = target.weight[0] = 0
    text, into, labels = ids(500, (3, steps), vocabulary, 1), ids(501, (3, 4), vocabulary, 1), ids(600, (3, 4), vocabulary, 1)
    count = torch.tensor(lengths)
    inside = torch.arange(steps) < count[:, None]
    packed, states = encoder(nn.utils.rnn.pack_padded_sequence(source(text), count, batch_first=True, enforce_sorted=False))
    keys = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=steps)[0].unflatten(2, (2, hidden)).sum(2)
    added = [state.unflatten(0, (layers, 2)).sum(1) for state in (states if cell == 'lstm' else [states])]
    output, _ = decoder(target(into), tuple(added) if cell == 'lstm' else added[0])
    scores = {
        'dot': lambda: output @ keys.transpose(1, 2),
        'general': lambda: output @ key(keys).transpose(1, 2),
        'additive': lambda: energy(torch.tanh(key(keys)[:, None] + query(output)[:, :, None])).squeeze(-1),
    }[score]()
    weights = scores.masked_fill(~inside[:, None], -torch.inf).softmax(-1)
    logits = head(torch.tanh(combine(torch.cat([weights @ keys, output], -1))))
    options = dict(sourceVocabulary=vocabulary, targetVocabulary=vocabulary, embedding=width, hidden=hidden, numLayers=layers, cell=cell, score=score)
    case('seq2seq', options, dict(source=text, lengths=count, target=into), parameters, logits, labels, 1)


def forecaster(cell, normalize):
    inputs, horizon, hidden = 2, 3, 5
    rnn, head = {'lstm': nn.LSTM, 'gru': nn.GRU}[cell](inputs, hidden, batch_first=True), nn.Linear(hidden, horizon * inputs)
    parameters = recurrent('rnn', rnn) + named('head', head)
    draw(parameters)
    x, labels = torch.from_numpy(3 + uniform(500, 4 * 7 * inputs)).reshape(4, 7, inputs), torch.from_numpy(3 + uniform(600, 4 * horizon * inputs)).reshape(4, horizon, inputs)
    mean, deviation = (x.mean(1, keepdim=True), (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()) if normalize else (0, 1)
    told = head(rnn((x - mean) / deviation)[0][:, -1]).unflatten(1, (horizon, inputs)) * deviation + mean
    options = dict(inputs=inputs, horizon=horizon, hidden=hidden, cell=cell, normalize=normalize)
    case('forecaster', options, dict(x=x), parameters, told, labels, loss=F.mse_loss)


def packed(rnn, x, count):
    """Outputs, 0 behind each row's steps, and the states after the last ones."""
    output, (h, c) = rnn(nn.utils.rnn.pack_padded_sequence(x, count, batch_first=True, enforce_sorted=False))
    return nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])[0], h


def pooled(pool, output, h, count):
    inside = (torch.arange(output.shape[1]) < count[:, None])[:, :, None]
    return {'last': lambda: h, 'mean': lambda: output.sum(1) / count[:, None], 'max': lambda: output.masked_fill(~inside, -torch.inf).amax(1)}[pool]()


def lstm_classifier(pool):
    vocabulary, width, hidden, outputs = 11, 5, 4, 3
    table, lstm, head = nn.Embedding(vocabulary, width, padding_idx=0), nn.LSTM(width, hidden, batch_first=True), nn.Linear(hidden, outputs)
    parameters = named('embedding', table) + recurrent('lstm', lstm) + named('head', head)
    draw(parameters)
    with torch.no_grad():
        table.weight[0] = 0
    count = torch.tensor([6, 2, 4])
    words = ids(500, (3, 6), vocabulary, 1) * (torch.arange(6) < count[:, None])
    output, h = packed(lstm, table(words), count)
    options = dict(vocabulary=vocabulary, embedding=width, hidden=hidden, outputs=outputs, pool=pool, inputDropout=0, recurrentDropout=0)
    case('lstmClassifier', options, dict(ids=words, lengths=count), parameters, head(pooled(pool, output, h[-1], count)), ids(600, (3,), outputs))


def bi_lstm_tagger(pool, layers):
    inputs, hidden, outputs = 5, 4, 3
    lstm, head = nn.LSTM(inputs, hidden, layers, batch_first=True, bidirectional=True), nn.Linear(2 * hidden, outputs)
    places = [f'L{layer}{way}' for layer in range(layers) for way in ['', 'Reverse']]
    parameters = [(f'lstm.{LAYER[i % 4]}{places[i // 4]}', p) for i, p in enumerate(lstm.parameters())] + named('head', head)
    draw(parameters)
    count = torch.tensor([6, 2, 4])
    x = torch.from_numpy(uniform(500, 3 * 6 * inputs)).reshape(3, 6, inputs)
    output, h = packed(lstm, x, count)
    logits = head(output if pool == 'none' else pooled(pool, output, torch.cat([h[-2], h[-1]], 1), count))
    options = dict(inputs=inputs, hidden=hidden, numLayers=layers, outputs=outputs, pool=pool)
    case('biLstmTagger', options, dict(features=x, lengths=count), parameters, logits, ids(600, (3, 6) if pool == 'none' else (3,), outputs))


for pool in ['last', 'mean', 'max']:
    lstm_classifier(pool)
    bi_lstm_tagger(pool, 1)
bi_lstm_tagger('none', 2)
forecaster('gru', True)
forecaster('lstm', False)
seq2seq('gru', 'dot', [6, 2, 4])
seq2seq('lstm', 'general', [3, 6, 1])
seq2seq('gru', 'additive', [6, 6, 5])
char_rnn('lstm')
char_rnn('gru')
text_cnn('tuned', None, 3)
text_cnn('static', [7, 2, 1, 5], 0.5)
text_cnn('both', [3, 7, 4, 1], 0.75)

print(json.dumps({'torch': torch.__version__, 'cases': cases}))
