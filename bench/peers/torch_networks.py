"""The networks in PyTorch, as one writes them there; attributes are named as in bench/networks/, so that parameters match by name."""
from collections import OrderedDict
import torch
from torch import nn


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10))


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def conv(cin, cout, size, stride=1):
    return nn.Conv2d(cin, cout, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(cin, cout, 3, stride), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = conv(cout, cout, 3), nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None if stride == 1 and cin == cout else nn.Sequential(conv(cin, cout, 1, stride), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = conv(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class DenseLayer(nn.Module):
    def __init__(self, cin, growth=12):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(cin), conv(cin, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.conv1(self.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    def __init__(self, cin):
        super().__init__()
        self.norm, self.relu, self.conv, self.pool = nn.BatchNorm2d(cin), nn.ReLU(inplace=True), conv(cin, cin // 2, 1), nn.AvgPool2d(2)

    def forward(self, x):
        return self.pool(self.conv(self.relu(self.norm(x))))


def dense_block(cin, layers=16, growth=12):
    return nn.Sequential(OrderedDict((f"denselayer{i + 1}", DenseLayer(cin + i * growth)) for i in range(layers)))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(OrderedDict(
            conv0=conv(3, 24, 3), denseblock1=dense_block(24), transition1=Transition(216), denseblock2=dense_block(108),
            transition2=Transition(300), denseblock3=dense_block(150), norm5=nn.BatchNorm2d(342)))
        self.classifier = nn.Linear(342, 10)

    def forward(self, x):
        x = torch.relu(self.features(x))
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Reader(nn.Module):
    """`dropout` as Keras has it: one mask a sequence on the inputs, one on the state; nn.LSTM has neither, so that its steps are a loop."""

    def __init__(self, recurrent, dropout=0.0):
        super().__init__()
        self.embedding, self.recurrent, self.dropout = nn.Embedding(20000, 128), recurrent, dropout
        self.head = nn.Linear(recurrent.hidden_size * (2 if recurrent.bidirectional else 1), 10)

    def forward(self, ids):
        x = self.embedding(ids)
        if self.dropout > 0:
            return self.head(self.steps(x))
        last = self.recurrent(x)[1]
        last = last[0] if isinstance(last, tuple) else last
        return self.head(torch.cat([last[-2], last[-1]], 1) if self.recurrent.bidirectional else last[-1])

    def steps(self, x):
        cell, drop = self.recurrent, nn.functional.dropout
        ones = torch.ones(len(x), 128)
        sums = nn.functional.linear(x * drop(ones, self.dropout)[:, None], cell.weight_ih_l0, cell.bias_ih_l0 + cell.bias_hh_l0)
        mask, weight = drop(ones, self.dropout), cell.weight_hh_l0.T
        h = c = torch.zeros(len(x), 128)
        for t in range(x.shape[1]):
            i, f, g, o = torch.addmm(sums[:, t], h * mask, weight).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


class Step(nn.Module):
    """One step of a reader; the states are the caller's."""

    def __init__(self, reader):
        super().__init__()
        self.embedding, self.recurrent, self.head = reader.embedding, reader.recurrent, reader.head

    def forward(self, ids, states: tuple[torch.Tensor, torch.Tensor]):
        output, states = self.recurrent(self.embedding(ids), states)
        return self.head(output[:, -1]), states


def stack(kind):
    return kind(128, 256, num_layers=2, bidirectional=True, batch_first=True)


networks = {"cnn": cnn, "mlp": mlp, "resnet18": ResNet18, "densenet": DenseNet,
            "lstm": lambda: Reader(nn.LSTM(128, 128, batch_first=True), 0.2), "lstm-norec": lambda: Reader(nn.LSTM(128, 128, batch_first=True)),
            "bilstm": lambda: Reader(stack(nn.LSTM)), "bigru": lambda: Reader(stack(nn.GRU))}
