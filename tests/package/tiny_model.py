"""A text classifier small enough to check by hand: the mean of the word vectors is the logits.

Words of a class have the vector 8 * e_class, all other tokens the zero vector; [CLS] and [SEP] count in the mean.
So n words of class c among m tokens give the logit 8 n / m for class c and 0 for the others. Where a text may have several
labels, 1 is taken from every logit: a class of which no word occurs has the logit -1.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

LABELS = ("light", "music", "weather")
WORDS = ("lamp", "song", "rain")
FILLERS = ("please", "the", "now", "turn", "some", "is", "it")
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *FILLERS)
ALIAS = "bulb"  # shares its id with "lamp", as merged words of a student's vocabulary do
MAX_TOKENS = 16


def write_model_folder(folder: Path, *, several: bool = False) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(_model(bias=-1 if several else 0).SerializeToString(deterministic=True))
    (folder / "tokenizer.json").write_text(_tokenizer_json())
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 16}')
    problem = {"problem_type": "multi_label_classification"} if several else {}
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(LABELS))} | problem))
    return folder


def rows(n: int = 60) -> tuple[list[str], list[int]]:
    """Texts of 1 to 12 words, the classes in turn."""
    random = np.random.default_rng(0)
    texts, classes = [], []
    for i in range(n):
        fillers = [FILLERS[j] for j in random.integers(0, len(FILLERS), i % 12)]
        fillers.insert(len(fillers) // 2, WORDS[i % 3])
        texts.append(" ".join(fillers))
        classes.append(i % 3)
    return texts, classes


def rows_of_several(n: int = 64) -> tuple[list[str], list[list[int]]]:
    """Texts with each set of the class words in turn, the empty one among them, and up to 3 other words."""
    sets = [[i >> c & 1 for c in range(len(WORDS))] for i in range(n)]
    texts = [" ".join([*(word for word, is_in in zip(WORDS, has, strict=True) if is_in), *FILLERS[: 1 + i // 8 % 3]])
             for i, has in enumerate(sets)]
    return texts, sets


def _model(bias: float) -> onnx.ModelProto:
    vectors = np.zeros((len(TOKENS), len(LABELS)), np.float32)
    for c, word in enumerate(WORDS):
        vectors[TOKENS.index(word), c] = 8
    constants = {
        "vectors": vectors,
        "weight": np.eye(len(LABELS), dtype=np.float32),
        "last": np.array([-1], np.int64),
        "length": np.array([1], np.int64),
    } | ({"bias": np.full(len(LABELS), bias, np.float32)} if bias else {})
    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask_column"]),
        helper.make_node("Mul", ["words", "mask_column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "length"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "length"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weight", *(["bias"] if bias else [])], ["logits"]),
    ]
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _tokenizer_json() -> str:
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(TOKENS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(MAX_TOKENS)
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"][ALIAS] = state["model"]["vocab"]["lamp"]
    return json.dumps(state, indent=1)
