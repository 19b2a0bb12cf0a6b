"""The loss of an LSTM over characters on the last tenth of tinyshakespeare, by PyTorch: as bench/models/char-loss.ts, batch for batch.
FERROGRAD_DATA=... python bench/peers/char_loss.py"""
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS, BATCH, LENGTH, SEEDS = 500, 32, 64, 3

text = open(os.path.join(os.environ['FERROGRAD_DATA'], 'tinyshakespeare', 'input.txt'), encoding='latin1', newline='').read()
letters = sorted(set(text))
places = {letter: i for i, letter in enumerate(letters)}
ids = torch.tensor([places[letter] for letter in text])
cut = int(0.9 * len(ids))
train, valid = ids[:cut], ids[cut:]


class CharRnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 64)
        self.rnn = nn.LSTM(64, 128, 2, batch_first=True)
        self.head = nn.Linear(128, len(letters))

    def forward(self, x):
        return self.head(self.rnn(self.embedding(x))[0])


def windows(part, starts):
    index = torch.as_tensor(starts)[:, None] + torch.arange(LENGTH)
    return part[index], part[index + 1]


def starts(step, limit):
    k = np.arange(step * BATCH + 1, (step + 1) * BATCH + 1, dtype=np.uint64)
    return ((k * 0x9E3779B1 & 0xFFFFFFFF) * limit >> 32).astype(np.int64)


found = []
for seed in range(SEEDS):
    torch.manual_seed(seed)
    model = CharRnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(STEPS):
        x, y = windows(train, starts(step, cut - LENGTH))
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    model.eval()
    rows = np.arange((len(valid) - 1) // LENGTH) * LENGTH
    with torch.no_grad():
        x, y = windows(valid, rows)
        found.append(F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item())
    print(f'seed {seed}: {found[-1]:.4f}', flush=True)
print(f'torch {torch.__version__}: mean {sum(found) / len(found):.4f}')
