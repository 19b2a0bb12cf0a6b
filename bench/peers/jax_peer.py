"""JAX under jit. Parameters are a dict by the names of bench/networks/, images and weights channels last; Adam is written out, as JAX has none."""
import os, sys
os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
from jax import lax
from serve import Ready, parameters, rotation, serve

def about():
    # XLA's thread pool is as large as the processors that the process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"versions": f"jax {jax.__version__}", "threads": cores, "note": "jit"}


def rotated(tensors, name, dtype=None):
    return [jnp.asarray(values, dtype) for values in rotation(tensors, name)]


def gemm(job, tensors):
    work = job["work"]
    a, b = (rotated(tensors, name, job["dtype"]) for name in "ab")
    product = jax.jit(lambda a, b: (a.T if work["transposeA"] else a) @ (b.T if work["transposeB"] else b))
    return Ready(lambda i: product(a[i % len(a)], b[i % len(b)]), lambda y: y.astype("float32"), jax.block_until_ready)


def convolution(x, w, stride=1, padding=0):
    return lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NHWC", "OHWI", "NHWC"))


def conv(job, tensors):
    x, w, dy = (rotated(tensors, name) for name in ("x", "w", "dy"))
    padding, n = job["work"]["padding"], len(x)
    run = lambda x, w: convolution(x, w, 1, padding)
    calls = {
        "forward": lambda x, w, dy: run(x, w),
        "data": lambda x, w, dy: jax.vjp(lambda x: run(x, w), x)[1](dy)[0],
        "weights": lambda x, w, dy: jax.vjp(lambda w: run(x, w), w)[1](dy)[0],
    }
    call = jax.jit(calls[job["work"]["pass"]])
    return Ready(lambda i: call(x[i % n], w[i % n], dy[i % n]), lambda y: y, jax.block_until_ready)


relu = jax.nn.relu
pool = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
average = lambda x: lax.reduce_window(x, 0., lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, stats, name, x):
    """Batch normalisation; leaves the batch's mean and variance in `stats`."""
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    stats[name] = (mean, var)
    return (x - mean) * lax.rsqrt(var + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def cnn(p, stats, x):
    x = pool(relu(convolution(x, p["0.weight"]) + p["0.bias"]))
    x = pool(relu(convolution(x, p["3.weight"]) + p["3.bias"]))
    x = relu(convolution(x, p["6.weight"]) + p["6.bias"]).reshape(len(x), -1)
    return linear(p, "11", relu(linear(p, "9", x)))


def mlp(p, stats, x):
    return linear(p, "4", relu(linear(p, "2", relu(linear(p, "0", x)))))


def resnet18(p, stats, x):
    def block(x, name, stride):
        y = relu(norm(p, stats, f"{name}.bn1", convolution(x, p[f"{name}.conv1.weight"], stride, 1)))
        y = norm(p, stats, f"{name}.bn2", convolution(y, p[f"{name}.conv2.weight"], 1, 1))
        if stride > 1:
            x = norm(p, stats, f"{name}.downsample.1", convolution(x, p[f"{name}.downsample.0.weight"], stride))
        return relu(x + y)
    x = relu(norm(p, stats, "bn1", convolution(x, p["conv1.weight"], 1, 1)))
    for stage in (1, 2, 3, 4):
        x = block(block(x, f"layer{stage}.0", 1 if stage == 1 else 2), f"layer{stage}.1", 1)
    return linear(p, "fc", x.mean((1, 2)))


def densenet(p, stats, x):
    x = convolution(x, p["features.conv0.weight"], 1, 1)
    for stage in (1, 2, 3):
        for i in range(16):
            name = f"features.denseblock{stage}.denselayer{i + 1}"
            y = convolution(relu(norm(p, stats, f"{name}.norm1", x)), p[f"{name}.conv1.weight"])
            y = convolution(relu(norm(p, stats, f"{name}.norm2", y)), p[f"{name}.conv2.weight"], 1, 1)
            x = jnp.concatenate([x, y], -1)
        if stage < 3:
            x = average(convolution(relu(norm(p, stats, f"features.transition{stage}.norm", x)), p[f"features.transition{stage}.conv.weight"]))
    return linear(p, "classifier", relu(norm(p, stats, "features.norm5", x)).mean((1, 2)))


def reader(dropout):
    """Embedding, LSTM as a scan over its steps, the last state to ten classes; with dropout one mask a sequence on inputs and state."""
    def forward(p, stats, ids, key):
        x = p["embedding.weight"][ids]
        masks = [1., 1.]
        if dropout > 0:
            keep = 1 - dropout
            masks = [jax.random.bernoulli(k, keep, (len(ids), 128)) / keep for k in jax.random.split(key)]
            x = x * masks[0][:, None]
        w = {name: p[f"recurrent.{name}"] for name in ("weightIhL0", "weightHhL0", "biasIhL0", "biasHhL0")}
        sums = x @ w["weightIhL0"].T + w["biasIhL0"] + w["biasHhL0"]

        def step(state, part):
            h, c = state
            i, f, g, o = jnp.split(part + (h * masks[1]) @ w["weightHhL0"].T, 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None
        zeros = jnp.zeros((len(ids), 128))
        (h, _), _ = lax.scan(step, (zeros, zeros), sums.swapaxes(0, 1))
        return linear(p, "head", h)
    forward.draws = True
    return forward


networks = {"cnn": cnn, "mlp": mlp, "resnet18": resnet18, "densenet": densenet, "lstm": reader(0.2), "lstm-norec": reader(0.)}


def network(job, tensors):
    return networks[job["work"]["network"]], {name: jnp.asarray(values) for name, values in parameters(tensors).items()}


def train(job, tensors):
    forward, p = network(job, tensors)
    x, y = rotated(tensors, "inputs"), rotated(tensors, "labels")
    rate = job["work"]["learningRate"]

    def loss_of(p, x, y, t):
        stats = {}
        drawn = [jax.random.fold_in(jax.random.key(0), t.astype(int))] if hasattr(forward, "draws") else []
        scores = jax.nn.log_softmax(forward(p, stats, x, *drawn))
        return -jnp.take_along_axis(scores, y[:, None], 1).mean(), stats

    def update(t, p, m, v, g):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return p - rate * (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.999 ** t)) + 1e-8), m, v

    def step(state, x, y):
        t, p, m, v, running = state
        (loss, stats), g = jax.value_and_grad(loss_of, has_aux=True)(p, x, y, t)
        t = t + 1
        updated = {name: update(t, p[name], m[name], v[name], g[name]) for name in p}
        p, m, v = ({name: row[i] for name, row in updated.items()} for i in range(3))
        running = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, stats)
        return (t, p, m, v, running), loss

    step = jax.jit(step, donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, p)
    shapes = jax.eval_shape(lambda p: loss_of(p, x[0], y[0], jnp.zeros(()))[1], p)
    running = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    state = (jnp.zeros(()), p, zeros, jax.tree.map(jnp.copy, zeros), running)

    def call(i):
        nonlocal state
        state, loss = step(state, x[i % len(x)], y[i % len(y)])
        return loss
    return Ready(call, lambda loss: loss, jax.block_until_ready)


def infer(job, tensors):
    forward, p = network(job, tensors)
    batches = rotation(tensors, "inputs")
    run = jax.jit(lambda p, x: forward(p, {}, x))
    return Ready(lambda i: jax.device_get(run(p, batches[i % len(batches)])), lambda values: values)


serve(about, {"gemm": gemm, "conv": conv, "train": train, "infer": infer})
