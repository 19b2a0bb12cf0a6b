"""Reference values of optimizers and schedules, by PyTorch. Writes optim.json beside this script.

Run: python test/golden/make_optim.py
Parameters and gradients come from a formula whose values are exact in binary, so that both sides start from equal bits.
"""

import json
import math
import re
from pathlib import Path

import torch

SHAPES = [(4, 3), (5,)]
KEPT = (1, 3, 12)


def values(shape, a, t=0):
    size = math.prod(shape)
    flat = [((i * 37 + a * 11 + t * 17) % 101 - 50) / 64 for i in range(size)]
    return flat


def snake(name):
    return re.sub(r'([A-Z])', lambda m: '_' + m.group(1).lower(), name)


OPTIMIZERS = [
    ('SGD', {}),
    ('SGD', dict(lr=0.1)),
    ('SGD', dict(lr=0.1, momentum=0.9)),
    ('SGD', dict(lr=0.1, momentum=0.9, dampening=0.3)),
    ('SGD', dict(lr=0.1, momentum=0.9, nesterov=True)),
    ('SGD', dict(lr=0.1, weightDecay=0.05)),
    ('SGD', dict(lr=0.1, momentum=0.8, weightDecay=0.05, nesterov=True)),
    ('SGD', dict(lr=0.1, maximize=True)),
    ('SGD', dict(lr=0.1, momentum=0.9, maximize=True, weightDecay=0.1)),
    ('SGD', dict(lr=0.1, l1=0.01)),
    ('SGD', dict(lr=0.1, l1=0.01, weightDecay=0.02, momentum=0.9)),
    ('GD', dict(lr=0.2)),
    ('Adam', {}),
    ('Adam', dict(lr=0.02)),
    ('Adam', dict(lr=0.02, betas=[0.8, 0.95])),
    ('Adam', dict(lr=0.02, eps=1e-3)),
    ('Adam', dict(lr=0.02, weightDecay=0.1)),
    ('Adam', dict(lr=0.02, amsgrad=True)),
    ('Adam', dict(lr=0.02, amsgrad=True, weightDecay=0.1)),
    ('Adam', dict(lr=0.02, maximize=True)),
    ('Adam', dict(lr=0.02, l1=0.03)),
    ('AdamW', {}),
    ('AdamW', dict(lr=0.02)),
    ('AdamW', dict(lr=0.02, weightDecay=0.3)),
    ('AdamW', dict(lr=0.02, amsgrad=True)),
    ('AdamW', dict(lr=0.02, maximize=True, weightDecay=0.2)),
    ('RMSprop', {}),
    ('RMSprop', dict(lr=0.02)),
    ('RMSprop', dict(lr=0.02, alpha=0.9)),
    ('RMSprop', dict(lr=0.02, eps=1e-2)),
    ('RMSprop', dict(lr=0.02, momentum=0.7)),
    ('RMSprop', dict(lr=0.02, centered=True)),
    ('RMSprop', dict(lr=0.02, centered=True, momentum=0.7, weightDecay=0.05)),
    ('RMSprop', dict(lr=0.02, maximize=True)),
    ('RMSprop', dict(lr=0.02, l1=0.01)),
    ('Adagrad', {}),
    ('Adagrad', dict(lr=0.1)),
    ('Adagrad', dict(lr=0.1, lrDecay=0.2)),
    ('Adagrad', dict(lr=0.1, eps=1e-2)),
    ('Adagrad', dict(lr=0.1, weightDecay=0.05)),
    ('Adagrad', dict(lr=0.1, initialAccumulatorValue=0.5)),
    ('Adagrad', dict(lr=0.1, maximize=True)),
    ('Adagrad', dict(lr=0.1, l1=0.02)),
]
# What happens around the step: clipping, groups, a changing rate, missing gradients.
SPECIAL = [
    ('SGD', dict(lr=0.1, momentum=0.9), dict(clipNorm=0.5)),
    ('SGD', dict(lr=0.1), dict(clipNorm=0.7, normType=1)),
    ('SGD', dict(lr=0.1), dict(clipNorm=0.3, normType='inf')),
    ('SGD', dict(lr=0.1), dict(clipNorm=0.6, normType=3)),
    ('SGD', dict(lr=0.1), dict(clipNorm=1e3)),
    ('SGD', dict(lr=0.1), dict(clipValue=0.25)),
    ('Adam', dict(lr=0.02), dict(clipNorm=0.5, clipValue=0.4)),
    ('SGD', dict(lr=0.1, momentum=0.9), dict(groups=[dict(lr=0.01), dict(weightDecay=0.2)])),
    ('AdamW', dict(lr=0.02), dict(groups=[dict(weightDecay=0.5), dict(lr=0.1, betas=[0.5, 0.9])], clipNorm=0.5)),
    ('Adam', dict(lr=0.02), dict(decay=0.8)),
    ('SGD', dict(lr=0.1, momentum=0.9), dict(decay=0.5)),
    ('Adam', dict(lr=0.02), dict(missing=[2, 3, 4])),
    ('AdamW', dict(lr=0.02, amsgrad=True), dict(missing=[1])),
    ('SGD', dict(lr=0.1, momentum=0.9), dict(missing=[1, 2])),
    ('Adagrad', dict(lr=0.1, lrDecay=0.3), dict(missing=[1, 5])),
    ('RMSprop', dict(lr=0.02, momentum=0.5, centered=True), dict(missing=[1, 2, 3])),
]


def train(name, options, special, dtype):
    params = [
        torch.tensor(values(shape, k), dtype=dtype).reshape(shape).requires_grad_() for k, shape in enumerate(SHAPES)
    ]
    options = dict(options)
    l1 = options.pop('l1', 0)
    if name == 'GD':
        name = 'SGD'
    if 'betas' in options:
        options['betas'] = tuple(options['betas'])
    cls = getattr(torch.optim, name)
    options = {snake(k): v for k, v in options.items()}
    if 'groups' in special:
        groups = [
            {'params': [p], **{snake(k): tuple(v) if isinstance(v, list) else v for k, v in g.items()}}
            for p, g in zip(params, special['groups'])
        ]
        optimizer = cls(groups, foreach=False, **options)
    else:
        optimizer = cls(params, foreach=False, **options)
    kept = []
    for t in range(1, max(KEPT) + 1):
        for k, p in enumerate(params):
            p.grad = torch.tensor(values(SHAPES[k], k + 3, t), dtype=dtype).reshape(SHAPES[k])
        if t in special.get('missing', []):
            params[1].grad = None
        if 'clipValue' in special:
            torch.nn.utils.clip_grad_value_(params, special['clipValue'])
        if 'clipNorm' in special:
            torch.nn.utils.clip_grad_norm_(params, special['clipNorm'], float(special.get('normType', 2)))
        if l1:
            for p in params:
                p.grad += l1 * torch.sign(p.detach())
        optimizer.step()
        if 'decay' in special:
            for group in optimizer.param_groups:
                group['lr'] *= special['decay']
        if t in KEPT:
            kept.append([v for p in params for v in p.detach().flatten().tolist()])
    return kept


def optimizer_cases():
    cases = []
    for name, options, special in [(n, o, {}) for n, o in OPTIMIZERS] + SPECIAL:
        wide = train(name, options, special, torch.float64)
        narrow = train(name, options, special, torch.float32)[-1]
        cases.append(
            dict(
                optimizer=name,
                options=options,
                special=special,
                float64=wide,
                float32=[float(f'{v:.9g}') for v in narrow],
            )
        )
    return cases


METRICS = [
    5,
    4,
    4,
    4.1,
    4.2,
    3.9999,
    3.5,
    3.6,
    3.6,
    3.6,
    3.6,
    3.6,
    3.2,
    3.2,
    3.2,
    3.2,
    3.3,
    3.3,
    3.3,
    3.3,
    3.3,
    3.3,
    3.3,
    3.3,
]


def warmup(total, first, after):
    return lambda t: t / max(1, first) if t < first else after(t, first, total)


def linear_fall(t, first, total):
    return max(0.0, (total - t) / max(1, total - first))


def cosine_fall(cycles):
    return lambda t, first, total: max(
        0.0, 0.5 * (1.0 + math.cos(math.pi * cycles * 2.0 * (t - first) / max(1, total - first)))
    )


L = torch.optim.lr_scheduler
SCHEDULES = [
    ('StepLR', dict(stepSize=7), lambda o: L.StepLR(o, 7)),
    ('StepLR', dict(stepSize=3, gamma=0.5), lambda o: L.StepLR(o, 3, gamma=0.5)),
    ('MultiStepLR', dict(milestones=[2, 5, 5, 20], gamma=0.3), lambda o: L.MultiStepLR(o, [2, 5, 5, 20], gamma=0.3)),
    ('ExponentialLR', dict(gamma=0.93), lambda o: L.ExponentialLR(o, 0.93)),
    ('CosineAnnealingLR', dict(tMax=10), lambda o: L.CosineAnnealingLR(o, 10)),
    ('CosineAnnealingLR', dict(tMax=7, etaMin=0.01), lambda o: L.CosineAnnealingLR(o, 7, eta_min=0.01)),
    ('LinearLR', {}, lambda o: L.LinearLR(o)),
    ('LinearLR', dict(startFactor=0.9, endFactor=0.2, totalIters=11), lambda o: L.LinearLR(o, 0.9, 0.2, 11)),
    ('LinearWarmup', dict(totalSteps=24, warmup=0.25), lambda o: L.LambdaLR(o, warmup(24, 6, linear_fall))),
    ('LinearWarmup', dict(totalSteps=20, warmup=3), lambda o: L.LambdaLR(o, warmup(20, 3, linear_fall))),
    ('CosineWarmup', dict(totalSteps=24, warmup=0.25), lambda o: L.LambdaLR(o, warmup(24, 6, cosine_fall(0.5)))),
    (
        'CosineWarmup',
        dict(totalSteps=24, warmup=4, cycles=1.5),
        lambda o: L.LambdaLR(o, warmup(24, 4, cosine_fall(1.5))),
    ),
    ('OneCycleLR', dict(maxLr=1, totalSteps=25), lambda o: L.OneCycleLR(o, 1, total_steps=25)),
    (
        'OneCycleLR',
        dict(maxLr=0.5, totalSteps=25, pctStart=0.4, annealStrategy='linear', divFactor=10, finalDivFactor=100),
        lambda o: L.OneCycleLR(
            o, 0.5, total_steps=25, pct_start=0.4, anneal_strategy='linear', div_factor=10, final_div_factor=100
        ),
    ),
    (
        'OneCycleLR',
        dict(maxLr=1, totalSteps=25, threePhase=True, baseMomentum=0.7, maxMomentum=0.9),
        lambda o: L.OneCycleLR(o, 1, total_steps=25, three_phase=True, base_momentum=0.7, max_momentum=0.9),
    ),
    (
        'OneCycleLR',
        dict(maxLr=[1, 0.1], totalSteps=25, cycleMomentum=False),
        lambda o: L.OneCycleLR(o, [1, 0.1], total_steps=25, cycle_momentum=False),
    ),
    ('LambdaLR', {}, lambda o: L.LambdaLR(o, lambda t: 0.95**t)),
    ('ReduceLROnPlateau', dict(patience=2), lambda o: L.ReduceLROnPlateau(o, patience=2)),
    (
        'ReduceLROnPlateau',
        dict(factor=0.5, patience=1, cooldown=2, minLr=0.01),
        lambda o: L.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=2, min_lr=0.01),
    ),
    (
        'ReduceLROnPlateau',
        dict(mode='max', patience=3, threshold=0.1, thresholdMode='abs'),
        lambda o: L.ReduceLROnPlateau(o, mode='max', patience=3, threshold=0.1, threshold_mode='abs'),
    ),
    (
        'ReduceLROnPlateau',
        dict(patience=0, threshold=0.05, eps=0.005),
        lambda o: L.ReduceLROnPlateau(o, patience=0, threshold=0.05, eps=0.005),
    ),
]


def schedule_cases():
    cases = []
    for name, options, make in SCHEDULES:
        for optimizer_name in ('SGD', 'Adam'):
            if optimizer_name == 'Adam' and name != 'OneCycleLR':
                continue
            params = [torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)]
            groups = [{'params': [params[0]]}, {'params': [params[1]], 'lr': 0.05}]
            optimizer = (
                torch.optim.SGD(groups, lr=0.1, momentum=0.9)
                if optimizer_name == 'SGD'
                else torch.optim.Adam(groups, lr=0.1)
            )
            schedule = make(optimizer)
            rows = []

            def note():
                group = optimizer.param_groups[0]
                rows.append(
                    [g['lr'] for g in optimizer.param_groups]
                    + [group['momentum'] if 'momentum' in group else group['betas'][0]]
                )

            note()
            for metric in METRICS:
                optimizer.step()
                schedule.step(metric) if name == 'ReduceLROnPlateau' else schedule.step()
                note()
            cases.append(dict(schedule=name, optimizer=optimizer_name, options=options, rows=rows))
    return cases


if __name__ == '__main__':
    path = Path(__file__).with_name('optim.json')
    content = dict(
        torch=torch.__version__.split('+')[0], metrics=METRICS, optimizers=optimizer_cases(), schedules=schedule_cases()
    )
    lines = (
        json.dumps(content, separators=(',', ':'))
        .replace('{"optimizer"', '\n{"optimizer"')
        .replace('{"schedule"', '\n{"schedule"')
    )
    path.write_text(lines + '\n')
    print(path.stat().st_size, 'bytes')
