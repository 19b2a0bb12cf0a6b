"""PyTorch's test accuracy of the CNN on CIFAR-10 records: the figure that Ferrograd's is compared with.

    python bench/peers/cifar10_accuracy.py [--data FOLDER] [--epochs 10] [--seeds 5] [--normalise unit|standard] [--augment]

Setting: batch 32 (the ragged last batch is kept), Adam with PyTorch's defaults (lr 1e-3), cross-entropy on logits, the training set shuffled
anew each epoch, default initialisers, float32. Inputs are bytes / 255 (`unit`), or that minus the training mean and over the training
standard deviation of each channel (`standard`). `--augment`: horizontal flip with probability 1/2, then a random crop from 4 pixels of zero padding.
FOLDER ($FERROGRAD_DATA/cifar10 where it is left out) holds the official binary records, `train-*.bin[.gz]` and `test-*.bin[.gz]` (a label byte, then 3 x 32 x 32 bytes).
Prints one line a seed, then one JSON object.
"""
import argparse, glob, gzip, json, os, statistics, time
import numpy as np
import torch
from torch import nn
from torch_networks import cnn


def records(folder, prefix):
    path = sorted(glob.glob(os.path.join(folder, f"{prefix}-*.bin*")))[0]
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        rows = np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)
    return torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255, torch.from_numpy(rows[:, 0].astype(np.int64))


def augment(x):
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    padded = nn.functional.pad(x, (4, 4, 4, 4))
    rows = torch.randint(0, 9, (len(x), 1)) + torch.arange(32)
    columns = torch.randint(0, 9, (len(x), 1)) + torch.arange(32)
    n = torch.arange(len(x))
    return padded[n[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def train(seed, args, train_x, train_y, test_x, test_y):
    torch.manual_seed(seed)
    model, loss_of = cnn(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(args.epochs):
        model.train()
        for rows in torch.randperm(len(train_x)).split(32):
            x = train_x[rows]
            loss = loss_of(model(augment(x) if args.augment else x), train_y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return (torch.cat([model(x) for x in test_x.split(500)]).argmax(1) == test_y).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", help="default: $FERROGRAD_DATA/cifar10")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--normalise", choices=["unit", "standard"], default="unit")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.data is None:
        if "FERROGRAD_DATA" not in os.environ:
            parser.error("--data FOLDER is missing: the folder of the records, or set FERROGRAD_DATA to the folder that holds cifar10/")
        args.data = os.path.join(os.environ["FERROGRAD_DATA"], "cifar10")
    torch.set_num_threads(args.threads)
    train_x, train_y = records(args.data, "train")
    test_x, test_y = records(args.data, "test")
    if args.normalise == "standard":
        mean, std = train_x.mean((0, 2, 3), keepdim=True), train_x.std((0, 2, 3), keepdim=True)
        train_x, test_x = (train_x - mean) / std, (test_x - mean) / std
    accuracies = []
    for seed in range(args.seeds):
        start = time.time()
        accuracies.append(train(seed, args, train_x, train_y, test_x, test_y))
        print(f"seed {seed}: {accuracies[-1]:.4f} ({time.time() - start:.0f} s)", flush=True)
    print(json.dumps({"torch": torch.__version__, "normalise": args.normalise, "augment": args.augment, "epochs": args.epochs,
                      "accuracies": accuracies, "mean": statistics.mean(accuracies), "spread": max(accuracies) - min(accuracies)}))


if __name__ == "__main__":
    main()
