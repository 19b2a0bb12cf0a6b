"""PyTorch's training step of the article's CNN (forward, cross-entropy, backward, Adam), eager: one JSON object a line, in ms.

    python bench/peers/cnn_step.py [--threads 2] [--seconds 5]
"""
import argparse, json, statistics, time
import torch
from torch import nn
from cifar10_accuracy import cnn


def step_times(batch, channels_last, seconds):
    model, loss_of = cnn(), nn.CrossEntropyLoss()
    x, y = torch.rand(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters())
    times, end = [], None
    while end is None or time.perf_counter() < end:
        start = time.perf_counter()
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e3)
        if len(times) == 20 and end is None:                    # the first twenty warm up
            times, end = [], time.perf_counter() + seconds
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for batch in (32, 128):
        for channels_last in (False, True):
            times = step_times(batch, channels_last, args.seconds)
            layout = "channels_last" if channels_last else "eager"
            print(json.dumps({"name": f"cnn step / batch {batch} / torch {torch.__version__} {layout}", "unit": "ms",
                              "median": statistics.median(times), "best": min(times), "steps": len(times)}), flush=True)


if __name__ == "__main__":
    main()
