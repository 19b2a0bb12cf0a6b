"""Python itself: a pipeline of str.lower, re, Counter and dict, cut among as many processes as there are threads to use."""
import multiprocessing, re, sys
from collections import Counter
import numpy as np
from serve import Ready, serve
from texts import checksums, reviews

threads = int(sys.argv[1])
punctuation = re.compile(r"[!-/:-@\[-`{-~]")
# Processes find these when they are forked: texts do not travel.
texts, ids, length = [], {}, 0


def tokens(text):
    return punctuation.sub("", text.lower()).split()


def count(part):
    counts = Counter()
    for text in texts[part]:
        counts.update(tokens(text))
    return counts


def encode(part):
    rows = np.zeros((len(texts[part]), length), np.int32)
    for row, text in zip(rows, texts[part]):
        found = [ids.get(token, 1) for token in tokens(text)[:length]]
        row[:len(found)] = found
    return rows


def text(job, tensors):
    global texts, ids, length
    work = job["work"]
    texts, length = reviews(work["folder"]), work["length"]
    step = -(-len(texts) // (8 * threads))
    parts = [slice(start, start + step) for start in range(0, len(texts), step)]

    def learned(pool):
        counts = Counter()
        for part in pool.imap_unordered(count, parts):
            counts.update(part)
        # Of equally frequent words the last comes first, as in Keras.
        return [word for word, _ in sorted(counts.items(), key=lambda item: (item[1], item[0]), reverse=True)[:work["words"] - 2]]

    pool = multiprocessing.get_context("fork").Pool(threads)
    if work["pass"] == "adapt":
        return Ready(lambda i: learned(pool), lambda words: checksums([f"{word}\n".encode() for word in words]))
    ids = {word: i + 2 for i, word in enumerate(learned(pool))}
    pool.terminate()
    pool = multiprocessing.get_context("fork").Pool(threads)
    return Ready(lambda i: np.concatenate(pool.map(encode, parts, 1)), lambda rows: checksums([row.tobytes() for row in rows]))


serve(lambda: {"versions": f"Python {sys.version.split()[0]}", "threads": threads}, {"text": text})
