# Words and ids of Keras' TextVectorization: python make_text.py > text.json
import json, os
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
import keras

TEXTS = [
    'The cat sat on the mat. The mat was flat!', "It's a CAT-astrophe, isn't it?", '', '   ', 'a a a b b c d e f',
    'tabs\tand\nnew lines  and   spaces', '100% of #hash_tags & @names (really) [yes] {no} ~ ` ^ |', 'naïve café — déjà vu', '<br />not html<br />',
]
QUERIES = ['the cat and the dog', '', 'A. B. C. unknown words here', 'café', 'd e f g h i j k l m n o p']
CASES = [
    {}, {'max_tokens': 8}, {'output_sequence_length': 4}, {'standardize': 'lower'}, {'standardize': 'strip_punctuation'}, {'standardize': None},
    {'split': 'character'}, {'split': None, 'max_tokens': 6},
]
results = []
for case in CASES:
    layer = keras.layers.TextVectorization(**case)
    layer.adapt(TEXTS)
    results.append({'options': case, 'vocabulary': layer.get_vocabulary(), 'ids': layer(QUERIES).numpy().tolist()})
print(json.dumps({'keras': keras.__version__, 'texts': TEXTS, 'queries': QUERIES, 'cases': results}, ensure_ascii=False))
