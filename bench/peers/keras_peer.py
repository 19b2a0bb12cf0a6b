"""Keras on TensorFlow: training as a tf.function over Keras' layers and optimizer, operations as TensorFlow's own. Options: jit (XLA)."""
import os, sys
os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import tensorflow as tf
import keras
from keras import layers as L
import numpy as np
from serve import Ready, parameters, rotation, serve
from texts import checksums, reviews

threads = int(sys.argv[1])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)


def about():
    return {"versions": f"keras {keras.__version__}, tensorflow {tf.__version__}", "threads": tf.config.threading.get_intra_op_parallelism_threads()}


def gemm(job, tensors):
    work = job["work"]
    a, b = ([tf.cast(tf.constant(values), job["dtype"]) for values in rotation(tensors, name)] for name in "ab")
    call = lambda i: tf.matmul(a[i % len(a)], b[i % len(b)], transpose_a=work["transposeA"], transpose_b=work["transposeB"])
    return Ready(call, lambda y: tf.cast(y, "float32").numpy())


def conv(job, tensors):
    x, dy = ([tf.constant(values) for values in rotation(tensors, name)] for name in ("x", "dy"))
    w = [tf.constant(values.transpose(1, 2, 3, 0)) for values in rotation(tensors, "w")]
    n, ops, rule = len(x), tf.raw_ops, dict(strides=[1, 1, 1, 1], padding="SAME" if job["work"]["padding"] else "VALID")
    calls = {
        "forward": lambda i: ops.Conv2D(input=x[i % n], filter=w[i % n], **rule),
        "data": lambda i: ops.Conv2DBackpropInput(input_sizes=x[0].shape, filter=w[i % n], out_backprop=dy[i % n], **rule),
        "weights": lambda i: ops.Conv2DBackpropFilter(input=x[i % n], filter_sizes=w[0].shape, out_backprop=dy[i % n], **rule),
    }
    weights = job["work"]["pass"] == "weights"
    return Ready(calls[job["work"]["pass"]], lambda y: y.numpy().transpose(3, 0, 1, 2) if weights else y.numpy())


def convolution(x, name, channels, size, stride=1):
    if stride > 1 and size > 1:                                 # 'same' would pad one side alone
        return L.Conv2D(channels, size, stride, use_bias=False, name=name)(L.ZeroPadding2D(size // 2)(x))
    return L.Conv2D(channels, size, stride, padding="same", use_bias=False, name=name)(x)


def norm(x, name):
    return L.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def cnn(x):
    x = L.MaxPooling2D(2)(L.Conv2D(32, 3, activation="relu", name="0")(x))
    x = L.MaxPooling2D(2)(L.Conv2D(64, 3, activation="relu", name="3")(x))
    x = L.Flatten()(L.Conv2D(64, 3, activation="relu", name="6")(x))
    return L.Dense(10, name="11")(L.Dense(64, activation="relu", name="9")(x))


def mlp(x):
    return L.Dense(10, name="4")(L.Dense(128, activation="relu", name="2")(L.Dense(256, activation="relu", name="0")(x)))


def resnet18(x):
    def block(x, name, channels, stride):
        y = L.ReLU()(norm(convolution(x, f"{name}.conv1", channels, 3, stride), f"{name}.bn1"))
        y = norm(convolution(y, f"{name}.conv2", channels, 3), f"{name}.bn2")
        if stride > 1:
            x = norm(convolution(x, f"{name}.downsample.0", channels, 1, stride), f"{name}.downsample.1")
        return L.ReLU()(L.Add()([x, y]))
    x = L.ReLU()(norm(convolution(x, "conv1", 64, 3), "bn1"))
    for stage, channels in enumerate([64, 128, 256, 512], 1):
        x = block(x, f"layer{stage}.0", channels, 1 if stage == 1 else 2)
        x = block(x, f"layer{stage}.1", channels, 1)
    return L.Dense(10, name="fc")(L.GlobalAveragePooling2D()(x))


def densenet(x, growth=12):
    x = convolution(x, "features.conv0", 24, 3)
    for stage in (1, 2, 3):
        for i in range(16):
            name = f"features.denseblock{stage}.denselayer{i + 1}"
            y = convolution(L.ReLU()(norm(x, f"{name}.norm1")), f"{name}.conv1", 4 * growth, 1)
            x = L.Concatenate()([x, convolution(L.ReLU()(norm(y, f"{name}.norm2")), f"{name}.conv2", growth, 3)])
        if stage < 3:
            x = L.ReLU()(norm(x, f"features.transition{stage}.norm"))
            x = L.AveragePooling2D(2)(convolution(x, f"features.transition{stage}.conv", x.shape[-1] // 2, 1))
    return L.Dense(10, name="classifier")(L.GlobalAveragePooling2D()(L.ReLU()(norm(x, "features.norm5"))))


def reader(dropout):
    def network(ids):
        x = L.Embedding(20000, 128, name="embedding")(ids)
        return L.Dense(10, name="head")(L.LSTM(128, dropout=dropout, recurrent_dropout=dropout, name="recurrent")(x))
    return network


networks = {"cnn": cnn, "mlp": mlp, "resnet18": resnet18, "densenet": densenet, "lstm": reader(0.2), "lstm-norec": reader(0.)}


def network(job, tensors):
    ids = job["work"]["network"].startswith("lstm")
    inputs = keras.Input(job["work"]["input"], batch_size=job["work"]["batch"], dtype="int32" if ids else None)
    model = keras.Model(inputs, networks[job["work"]["network"]](inputs))
    given = parameters(tensors)
    for name, values in given.items():
        path, kind = name.rsplit(".", 1)
        layer = model.get_layer(path)
        if isinstance(layer, L.Embedding):
            layer.embeddings.assign(values)
            continue
        if isinstance(layer, L.LSTM):                           # gates in the same order; one bias
            cell = layer.cell
            {"weightIhL0": cell.kernel, "weightHhL0": cell.recurrent_kernel}.get(kind, cell.bias).assign(
                values.T if values.ndim == 2 else given[f"{path}.biasIhL0"] + given[f"{path}.biasHhL0"])
            continue
        if isinstance(layer, L.BatchNormalization):
            (layer.gamma if kind == "weight" else layer.beta).assign(values)
        else:                                                   # [O, KH, KW, I] -> [KH, KW, I, O], [O, I] -> [I, O]
            (layer.kernel if kind == "weight" else layer.bias).assign(values.transpose(*range(1, values.ndim), 0))
    return model


def train(job, tensors):
    model = network(job, tensors)
    optimizer = keras.optimizers.Adam(job["work"]["learningRate"], epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = ([tf.constant(values) for values in rotation(tensors, name)] for name in ("inputs", "labels"))

    @tf.function(jit_compile=job["options"].get("jit", False))
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss
    return Ready(lambda i: step(x[i % len(x)], y[i % len(y)]), lambda loss: loss.numpy())


def infer(job, tensors):
    model = network(job, tensors)
    batches = rotation(tensors, "inputs")
    forward = tf.function(lambda x: model(x, training=False), jit_compile=job["options"].get("jit", False))
    return Ready(lambda i: forward(tf.constant(batches[i % len(batches)])).numpy(), lambda values: values)


def text(job, tensors):
    work = job["work"]
    texts = tf.constant(reviews(work["folder"]))
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(512)

    def learned():
        layer = L.TextVectorization(max_tokens=work["words"], output_sequence_length=work["length"])
        layer.adapt(batches)
        return layer
    if work["pass"] == "adapt":
        return Ready(lambda i: learned(), lambda layer: checksums([f"{word}\n".encode() for word in layer.get_vocabulary()[2:]]))
    encoded = batches.map(learned(), num_parallel_calls=tf.data.AUTOTUNE)
    return Ready(lambda i: np.concatenate(list(encoded.as_numpy_iterator())), lambda rows: checksums([row.tobytes() for row in rows.astype(np.int32)]))


serve(about, {"gemm": gemm, "conv": conv, "train": train, "infer": infer, "text": text})
