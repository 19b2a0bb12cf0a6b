"""Expected values of the models in ts/models, by PyTorch in float64: `python test/golden/make_models.py` writes models.safetensors beside it.

Needs torch and torchvision, whose networks these are where it has them: its blocks for the CIFAR ResNets, its layers for the CIFAR DenseNet.
Weights, images and labels are not stored: both sides draw them by `uniform` and `hashes` (make.py, formula.ts), in this library's layout, the
k-th tensor of the state from stream k + 1:
    convolutions and Linear: +-sqrt(6 / fan-in);  factors of normalisations: 1 + 0.2 u;  biases and means: 0.1 u;  variances: 1 + 0.5 u
Two kinds of cases:
    train  one training step without an optimizer: logits, and of each gradient and running statistic [sum, sum of magnitudes, two elements];
           `rounding` is how far PyTorch's float32 is from these gradients
    file   the state's names and shapes as torchvision writes them, and the logits in evaluation
"""
import json
import math
import pathlib
import struct

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models import DenseNet, resnet18, resnet34, resnet50
from torchvision.models.resnet import BasicBlock, Bottleneck

from make import hashes, uniform

torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)
cases, stored = [], {}


def last(t):  # channels second -> channels last
    return t.movedim(1, -1) if t.ndim == 4 else t


def drawn(name, shape, stream):
    """The values of a tensor of the state, in Ferrograd's layout; `shape` is PyTorch's."""
    shape = [shape[0], *shape[2:], shape[1]] if len(shape) == 4 else list(shape)
    u = torch.from_numpy(uniform(stream, math.prod(shape))).reshape(shape)
    if len(shape) > 1:
        return u * math.sqrt(6 / math.prod(shape[1:]))
    if name.endswith('running_var'):
        return 1 + 0.5 * u
    return 1 + 0.2 * u if name.endswith('weight') else 0.1 * u


def fill(model):
    """Columns behind Flatten are drawn in the order h, w, c; `flat` names those weights, with the channels."""
    with torch.no_grad():
        for k, (name, value) in enumerate(state(model)):
            ours = drawn(name, value.shape, k + 1)
            if name in getattr(model, 'flat', {}):
                channels = model.flat[name]
                ours = ours.reshape(len(ours), -1, channels).transpose(1, 2).reshape(ours.shape)
            value.copy_(ours.movedim(-1, 1) if ours.ndim == 4 else ours)


def state(model):
    return [(name, value) for name, value in model.state_dict().items() if not name.endswith('num_batches_tracked')]


def images(shape):
    return torch.from_numpy(uniform(1000, math.prod(shape))).reshape(shape).movedim(-1, 1).contiguous()


def summary(t):
    flat = last(t.detach()).reshape(-1)
    n = len(flat)
    return torch.stack([flat.sum(), flat.abs().sum(), flat[n // 3], flat[2 * n // 3]])


def step(model, x, labels):
    """Logits, and summaries of the images' and all parameters' gradients and of the running statistics."""
    x = x.clone().requires_grad_()
    model.zero_grad()
    logits = model(x)
    F.cross_entropy(logits, labels).backward()
    flat = getattr(model, 'flat', {})
    gradients = [x.grad]
    for key, parameter in model.named_parameters():
        gradient = parameter.grad
        if key in flat:
            gradient = gradient.reshape(len(gradient), flat[key], -1).transpose(1, 2).reshape(gradient.shape)
        gradients.append(gradient)
    statistics = [value for key, value in state(model) if 'running' in key]
    return logits.detach(), [summary(g) for g in gradients], [summary(s) for s in statistics], [g.numel() for g in gradients]


def apart(ours, theirs, count):
    """As in the test: sums by the sum of magnitudes, elements by the mean magnitude and their own."""
    off, mean = (ours - theirs).abs(), theirs[1] / count
    return max(off[:2].max() / theirs[1], (off[2:] / (mean + theirs[2:].abs())).max()).item()


def train(name, model, options, theirs, shape):
    labels = torch.from_numpy(hashes(2000, shape[0]).astype('int64') % options.get('classes', 10))
    fill(theirs.train())
    logits, gradients, statistics, counts = step(theirs, images(shape), labels)
    stored[f'{name}.logits'] = logits
    stored[f'{name}.gradients'] = torch.stack(gradients)
    if statistics:
        stored[f'{name}.statistics'] = torch.stack(statistics)
    # How far PyTorch's own float32 is from its float64: the deeper networks multiply rounding.
    fill(theirs)
    _, rounded, _, _ = step(theirs.float(), images(shape).float(), labels)
    rounding = max(apart(r.double(), g, count) for r, g, count in zip(rounded, gradients, counts))
    cases.append(dict(kind='train', name=name, model=model, options=options, shape=list(shape), rounding=rounding))
    print(f'{name}: {sum(p.numel() for p in theirs.parameters())} parameters, logits to {logits.abs().max():.3g}, float32 {rounding:.1e}', flush=True)


def file(name, model, options, theirs, shape):
    fill(theirs.eval())
    with torch.no_grad():
        stored[f'{name}.logits'] = theirs(images(shape))
    lines = [' '.join([key, *map(str, value.shape)]) for key, value in theirs.state_dict().items()]
    cases.append(dict(kind='file', name=name, model=model, options=options, shape=list(shape), state=lines))
    print(f"{name}: {sum(p.numel() for p in theirs.parameters())} parameters, logits to {stored[f'{name}.logits'].abs().max():.3g}", flush=True)


# -- plain networks
lenet = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                      nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
lenet.flat = {'7.weight': 16}
train('lenet', 'lenet', {}, lenet, (2, 32, 32, 1))
mlp = nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 5))
mlp.flat = {'1.weight': 3}
train('mlp', 'mlp', dict(inFeatures=48, hidden=[12, 8], classes=5), mlp, (3, 4, 4, 3))


def vgg_stage(a, b):
    c = lambda a: [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return [*c(a), *c(b), nn.MaxPool2d(2)]


vgg = nn.Sequential(*vgg_stage(3, 6), *vgg_stage(6, 12), *vgg_stage(12, 24), nn.Flatten(), nn.Linear(96, 10))
vgg.flat = {'22.weight': 24}
train('vgg', 'vggSmall', dict(width=6, imageSize=16), vgg, (3, 16, 16, 3))


# -- ResNets of any stem and width, of torchvision's blocks
class Padded(nn.Module):
    """The paper's option A."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.before, self.after, self.stride = before, after, stride

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def conv(a, b, size, stride=1):
    return nn.Conv2d(a, b, size, stride, padding=size // 2, bias=False)


class ResNet(nn.Module):
    def __init__(self, block, stages, width, classes, stem, shortcut):
        super().__init__()
        self.conv1 = conv(3, width, 7, 2) if stem == 'imagenet' else conv(3, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, 1) if stem == 'imagenet' else nn.Identity()
        channels, self.stages = width, len(stages)
        for i, count in enumerate(stages):
            layers = []
            for j in range(count):
                inner, stride = width * 2 ** i, 2 if i > 0 and j == 0 else 1
                to, around = inner * block.expansion, None
                if channels != to or stride != 1:
                    around = nn.Sequential(conv(channels, to, 1, stride), nn.BatchNorm2d(to))
                    if shortcut == 'padding':
                        around = Padded((to - channels) // 2, (to - channels + 1) // 2, stride)
                layers.append(block(channels, inner, stride, around))
                channels = to
            setattr(self, f'layer{i + 1}', nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f'layer{i + 1}')(x)
        return self.fc(x.mean((2, 3)))


small = dict(width=4, classes=7, stem='cifar')
cifar, projection = dict(width=16, classes=10, stem='cifar', shortcut='padding'), dict(shortcut='projection')
train('resnet20', 'resnet20', {}, ResNet(BasicBlock, [3, 3, 3], **cifar), (2, 16, 16, 3))
train('resnet20 projection', 'resnet20', projection, ResNet(BasicBlock, [3, 3, 3], **{**cifar, **projection}), (2, 16, 16, 3))
train('resnet56', 'resnet56', {}, ResNet(BasicBlock, [9, 9, 9], **cifar), (2, 12, 12, 3))
train('resnet18', 'resnet18', small, ResNet(BasicBlock, [2, 2, 2, 2], **small, **projection), (2, 17, 19, 3))
stemmed, padded = {**small, 'stem': 'imagenet'}, {**small, 'shortcut': 'padding'}
train('resnet18 imagenet', 'resnet18', stemmed, ResNet(BasicBlock, [2, 2, 2, 2], **stemmed, **projection), (2, 70, 64, 3))
train('resnet34', 'resnet34', small, ResNet(BasicBlock, [3, 4, 6, 3], **small, **projection), (2, 16, 16, 3))
train('resnet50', 'resnet50', small, ResNet(Bottleneck, [3, 4, 6, 3], **small, **projection), (2, 24, 24, 3))
train('resnet50 padding', 'resnet50', padded, ResNet(Bottleneck, [3, 4, 6, 3], **padded), (2, 24, 24, 3))


# -- DenseNet-BC: torchvision's, with the CIFAR stem where wanted
def densenet(growth, blocks, init, classes, stem, bn_size=4):
    model = DenseNet(growth, blocks, init, bn_size, 0, classes)
    if stem == 'cifar':
        del model.features.norm0, model.features.relu0, model.features.pool0
        model.features.conv0 = conv(3, init, 3)
    return model


def ours(growth, blocks, init, classes, stem, bn_size=4):
    return dict(growthRate=growth, blockConfig=blocks, numInitFeatures=init, classes=classes, stem=stem, bnSize=bn_size)


for name, model, sizes, shape in [
    ('densenet', 'densenet', (4, [3, 3, 3], 8, 10, 'cifar'), (2, 16, 16, 3)),
    ('densenet121', 'densenet121', (3, [2, 1, 3, 2], 5, 6, 'imagenet', 2), (2, 64, 64, 3)),
]:
    train(name, model, ours(*sizes), densenet(*sizes), shape)

# -- what torchvision writes
for make in (resnet18, resnet34, resnet50):
    file(f'torchvision {make.__name__}', make.__name__, {}, make(), (1, 64, 64, 3))
file('torchvision densenet', 'densenet121', ours(3, [2, 1, 3, 2], 5, 6, 'imagenet', 2), densenet(3, [2, 1, 3, 2], 5, 6, 'imagenet', 2), (2, 64, 64, 3))

# -- a safetensors file: header length, header, numbers
versions = dict(torch=torch.__version__, torchvision=torchvision.__version__)
header, offset = {'__metadata__': {'cases': json.dumps(cases, separators=(',', ':')), **versions}}, 0
for key, tensor in stored.items():
    header[key] = dict(dtype='F64', shape=list(tensor.shape), data_offsets=[offset, offset := offset + tensor.numel() * 8])
text = json.dumps(header, separators=(',', ':')).encode()
text += b' ' * (-len(text) % 8)
path = pathlib.Path(__file__).with_name('models.safetensors')
path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(tensor.contiguous().numpy().tobytes() for tensor in stored.values()))
print(f'{len(cases)} cases, {path.stat().st_size} bytes')
