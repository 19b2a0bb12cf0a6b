"""The side of an implementation that runs in Python: answers the driver's lines and times the bursts, as serve.ts does in Node.

A kind of work is a function (job, tensors) -> Ready. `tensors` holds numpy arrays, channels last.
"""
import json, os, struct, sys, time
from dataclasses import dataclass
from typing import Any, Callable
import numpy as np


@dataclass
class Ready:
    call: Callable[[int], Any]                                  # runs call number i, or submits it
    values: Callable[[Any], Any]                                # the numbers that are compared; samples are taken here below
    wait: Callable[[Any], Any] = lambda result: result          # until a call's result is there


def read(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = np.frombuffer(file.read(), np.uint8)
    types = {"F32": np.float32, "I32": np.int32}
    return {name: data[slice(*row["data_offsets"])].view(types[row["dtype"]]).reshape(row["shape"]) for name, row in header.items()}


def rotation(tensors, name):
    """'x.0', 'x.1', ..."""
    return [values for key, values in tensors.items() if key.startswith(name + ".")]


def parameters(tensors):
    return {key.removeprefix("model."): values for key, values in tensors.items() if key.startswith("model.")}


def sample(values):
    """Sixty-one numbers from all over a large result."""
    flat = np.asarray(values, np.float32).ravel()
    return flat[::max(1, flat.size // 61)][:61] if flat.size > 61 else flat


def serve(about, kinds):
    # What libraries print must not come between the answers.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready, turn = None, 0

    def prepare(job):
        nonlocal ready, turn
        ready = None
        if job["kind"] not in kinds:
            raise ValueError(f"it has no {job['kind']}")
        ready = kinds[job["kind"]](job, read(job["file"]))
        values, times = [], []
        for turn in range(job["checks"]):
            start = time.perf_counter()
            result = ready.call(turn)
            ready.wait(result)
            times.append((time.perf_counter() - start) * 1e3)
            values.extend(float(value) for value in sample(ready.values(result)))
        turn += 1
        return {"values": values, "firstMs": times[0], "lastMs": times[-1]}

    def burst(calls, warm):
        nonlocal turn
        call, wait = ready.call, ready.wait
        for _ in range(warm):
            result = call(turn)
            turn += 1
        if warm:
            wait(result)
        start = time.perf_counter()
        for i in range(turn, turn + calls):
            result = call(i)
        wait(result)
        elapsed = time.perf_counter() - start
        turn += calls
        return {"ms": elapsed * 1e3 / calls}

    commands = {"about": about, "prepare": prepare, "burst": burst}
    for line in sys.stdin:
        message = json.loads(line)
        try:
            answer = commands[message.pop("command")](**message)
        except Exception as error:                              # told to the driver, which leaves this workload out
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()
