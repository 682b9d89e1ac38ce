"""Adapter to onnx: a BERT tokenizer as nodes of a graph, and a classifier that takes raw text.

The nodes are those of onnxruntime-extensions (strings) and of ONNX (ids). Its BertTokenizer is used for nothing but the
greedy search for pieces, because its own clean-up differs from BERT's (accents outside of Latin-1, control characters,
punctuation, words of more than 100 characters, a word of which only the beginning is known).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgedistill.package.bert_rules import CONTINUES, BertRules
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType

TEXT_INPUT = "text"
IDS_OUTPUT = "input_ids"
LOGITS, PROBABILITIES, LABEL, APPLYING = "logits", "probabilities", "label", "labels"

_CONTRIB = "ai.onnx.contrib"
_ML = "ai.onnx.ml"
_SPACE = "text/"
"""What the names of these nodes start with, so that they meet none of the model's."""

_NO_PIECE = "\ue000"
"""Stands for any character that is in no piece. Private: BERT's clean-up lets none through, so no text has it."""

_REMOVED = "\x01"
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class PieceTable:
    """The lines of the tokenizer node, and what a line means.

    Attributes:
        lines: pieces; those that start a word come first.
        starts: number of lines that start a word.
        ids: the model's id of each line, shape (lines,).
        weights: characters of each line, or more than a word may have for a piece that must not be, shape (lines,).
    """

    lines: tuple[str, ...]
    starts: int
    ids: NDArray[np.int64]
    weights: NDArray[np.int64]

    @property
    def size_bytes(self) -> int:
        """Bytes that the lines and their tables take in the graph."""
        text = len("\n".join(self.lines).encode())
        return text + smallest(self.ids).nbytes + smallest(self.weights).nbytes


def piece_table(rules: BertRules) -> PieceTable:
    """Lay out the pieces.

    A word with a character that no piece begins or goes on with is unknown as a whole. The node would tell its known
    beginning and then the unknown token; so it is given such pieces, too heavy for any word.
    """
    too_heavy = rules.max_word + 1
    alphabet = sorted({char for piece in (*rules.starts, *rules.inner) for char in piece if piece not in rules.specials})
    starts = {piece: (i, len(piece)) for piece, i in rules.starts.items()}
    starts |= {token: (rules.starts[token], 1) for token in (*rules.specials, rules.unknown)}
    inner = {piece: (i, len(piece)) for piece, i in rules.inner.items()}
    for char in (*alphabet, _NO_PIECE):
        starts.setdefault(char, (rules.unknown_id, too_heavy))
        inner.setdefault(char, (rules.unknown_id, too_heavy))
    known = [*starts.values(), *inner.values()]
    return PieceTable(
        lines=(*starts, *(CONTINUES + piece for piece in inner)),
        starts=len(starts),
        ids=np.array([i for i, _ in known], np.int64),
        weights=np.array([weight for _, weight in known], np.int64),
    )


def smallest(values: NDArray[np.int64]) -> NDArray[Any]:
    """Return the values in the smallest signed integers that hold them."""
    kind = next(k for k in (np.int8, np.int16, np.int32, np.int64) if np.abs(values).max(initial=0) <= np.iinfo(k).max)
    return values.astype(kind)


@dataclass
class _Nodes:
    """Nodes and constants on their way into a graph."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def add(self, operator: str, inputs: Sequence[str], name: str, *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.add_many(operator, inputs, [name], domain=domain, **attributes)

    def add_many(
        self, operator: str, inputs: Sequence[str], names: Sequence[str], *, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its first output."""
        outputs = [_SPACE + name for name in names]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def number(self, name: str, value: Any) -> str:
        """Keep numbers and return their name."""
        self.constants[_SPACE + name] = numpy_helper.from_array(np.asarray(value), _SPACE + name)
        return _SPACE + name

    def text(self, name: str, values: Sequence[str], *, is_scalar: bool = False) -> str:
        """Keep strings and return their name."""
        shape = [] if is_scalar else [len(values)]
        encoded = [value.encode() for value in values]
        self.constants[_SPACE + name] = helper.make_tensor(_SPACE + name, TensorProto.STRING, shape, encoded)
        return _SPACE + name


def tokenizer_model(rules: BertRules, *, opset: int) -> onnx.ModelProto:
    """Return a model that turns `text`, shape (1,), into `input_ids`, shape (1, length), int64.

    Args:
        rules: the tokenizer.
        opset: version of ONNX's operators, 13 or more.
    """
    nodes = _Nodes()
    ids = _ids(nodes, _words(nodes, rules), rules)
    nodes.nodes.append(helper.make_node("Identity", [ids], [IDS_OUTPUT]))
    graph = helper.make_graph(
        nodes.nodes, "tokenizer", [helper.make_tensor_value_info(TEXT_INPUT, TensorProto.STRING, [1])],
        [helper.make_tensor_value_info(IDS_OUTPUT, TensorProto.INT64, [1, "length"])], list(nodes.constants.values()),
    )
    return helper.make_model(graph, ir_version=8, opset_imports=_opsets({"": opset}))


def classifier_of_text(
    model: onnx.ModelProto, rules: BertRules, labels: Sequence[str], problem: ProblemType = ONE_LABEL
) -> onnx.ModelProto:
    """Return a classifier with the tokenizer in front: `text`, shape (1,), in.

    Args:
        model: takes input_ids, attention_mask and token_type_ids or some of these; its first output is the logits.
        rules: its tokenizer.
        labels: name of each class.
        problem: may a text have several labels?

    Returns:
        a model with the outputs `logits` and `probabilities`, shape (1, classes), and `label`, shape (1,); of several labels
        with `labels` in its place, the names of those that apply, shape (any number,).
    """
    nodes = _Nodes()
    ids = _ids(nodes, _words(nodes, rules), rules)
    shape = nodes.add("Shape", [ids], "shape")
    feeds = {
        "input_ids": ids,
        "attention_mask": nodes.add("ConstantOfShape", [shape], "ones", value=_filler(1)),
        "token_type_ids": nodes.add("ConstantOfShape", [shape], "zeros", value=_filler(0)),
    }
    for item in model.graph.input:
        kind = item.type.tensor_type.elem_type
        nodes.nodes.append(helper.make_node("Cast", [feeds[item.name]], [item.name], to=kind))
    nodes.nodes.extend(model.graph.node)
    outputs = _answer(nodes, model.graph.output[0].name, labels, problem)
    graph = helper.make_graph(
        nodes.nodes, "classifier_of_text", [helper.make_tensor_value_info(TEXT_INPUT, TensorProto.STRING, [1])], outputs,
        [*model.graph.initializer, *nodes.constants.values()],
    )
    versions = {item.domain: int(item.version) for item in model.opset_import}
    return helper.make_model(graph, ir_version=model.ir_version, opset_imports=_opsets(versions))


def _words(nodes: _Nodes, rules: BertRules) -> str:
    """Turn raw text into words with spaces between, normalized; returns the name of a string of shape (1,)."""
    text, characters = TEXT_INPUT, rules.characters
    removed, apart, nothing = (nodes.text(name, [value]) for name, value in
                               (("removed", _REMOVED), ("apart", r" \1 "), ("nothing", "")))
    if characters.dropped:
        pattern = nodes.text("dropped", [_character_class(characters.dropped)])
        text = nodes.add("StringRegexReplace", [text, pattern, removed], "kept", domain=_CONTRIB)
    if characters.alone:
        pattern = nodes.text("alone", [f"({_character_class(characters.alone)})"])
        text = nodes.add("StringRegexReplace", [text, pattern, apart], "set_apart", domain=_CONTRIB)
    units = "|".join([*(_escaped(token) for token in rules.specials), "(?s:.)"])
    pattern = nodes.text("units", [f"({units})"])
    split = [f"character{suffix}" for suffix in ("s", "_begins", "_ends", "_rows")]
    units_found = nodes.add_many("StringRegexSplitWithOffsets", [text, pattern, pattern], split, domain=_CONTRIB)
    image = dict(characters.image) | {token: f" {token} " for token in rules.specials}
    image[_REMOVED] = ""
    mapped = nodes.add(
        "LabelEncoder", [units_found], "mapped", domain=_ML, keys_strings=list(image),
        values_strings=list(image.values()), default_string=_NO_PIECE,
    )
    axis = nodes.number("axis_0", np.array([0], np.int64))
    joined = nodes.add("StringJoin", [mapped, nothing, axis], "joined", domain=_CONTRIB)
    line = nodes.add("Reshape", [joined, nodes.number("one", np.array([1], np.int64))], "line")
    space = nodes.text("space", [" "])
    squeezed = nodes.add("StringRegexReplace", [line, nodes.text("spaces", [" +"]), space], "squeezed", domain=_CONTRIB)
    return nodes.add("StringRegexReplace", [squeezed, nodes.text("first_space", ["^ "]), nothing], "words", domain=_CONTRIB)


def _ids(nodes: _Nodes, words: str, rules: BertRules) -> str:
    """Turn words into the model's ids, shape (1, length), int64."""
    table = piece_table(rules)
    frame = dict.fromkeys(("unk_token", "sep_token", "pad_token", "cls_token", "mask_token"), rules.unknown)
    piece = nodes.add_many(
        "BertTokenizer", [words], ["pieces", "type_ids", "mask"], domain=_CONTRIB, vocab_file="\n".join(table.lines),
        do_lower_case=0, do_basic_tokenize=0, strip_accents=0, tokenize_chinese_chars=0, suffix_indicator=CONTINUES,
        **frame,
    )
    is_start = nodes.add("Less", [piece, nodes.number("starts", np.array(table.starts))], "is_start")
    is_unknown = _is_unknown(nodes, piece, is_start, table, max_word=rules.max_word)
    known = _looked_up(nodes, "ids", table.ids, piece)
    model_id = nodes.add("Where", [is_unknown, nodes.number("unknown", np.array(rules.unknown_id)), known], "model_id")
    is_told = nodes.add("Or", [is_start, nodes.add("Not", [is_unknown], "is_known")], "is_told")
    told = nodes.add("Compress", [model_id, is_told], "told", axis=0)
    inner = _slice(nodes, told, 1, -1, "inner")
    cut = _slice(nodes, inner, 0, rules.max_tokens - 2, "cut")
    first, last = nodes.number("first", np.array([rules.first_id])), nodes.number("last", np.array([rules.last_id]))
    framed = nodes.add("Concat", [first, cut, last], "framed", axis=0)
    return nodes.add("Unsqueeze", [framed, nodes.number("row", np.array([0]))], "ids_row")


def _is_unknown(nodes: _Nodes, piece: str, is_start: str, table: PieceTable, *, max_word: int) -> str:
    """Say of every piece whether its word weighs more than a word may.

    The first and the last piece are the tokenizer node's own frame, so there are always two words.
    """
    weight = _looked_up(nodes, "weights", table.weights, piece)
    axis = nodes.number("axis", np.array(0))
    so_far = nodes.add("CumSum", [weight, axis], "so_far")
    flat = nodes.number("flat", np.array([-1]))
    begins = nodes.add("Reshape", [nodes.add("NonZero", [is_start], "begins_row"), flat], "begins")
    through_first = nodes.add("Gather", [so_far, begins], "through_first")
    before = nodes.add("Sub", [through_first, nodes.add("Gather", [weight, begins], "first_weight")], "before")
    ends = nodes.add("Concat", [_slice(nodes, before, 1, _LAST, "next_before"), _slice(nodes, so_far, -1, _LAST, "total")],
                     "ends", axis=0)
    word_weight = nodes.add("Sub", [ends, before], "word_weight")
    too_heavy = nodes.add("Greater", [word_weight, nodes.number("max_word", np.array(max_word))], "too_heavy")
    counted = nodes.add("CumSum", [nodes.add("Cast", [is_start], "start", to=TensorProto.INT64), axis], "counted")
    word = nodes.add("Sub", [counted, nodes.number("one_word", np.array(1))], "word")
    return nodes.add("Gather", [too_heavy, word], "is_unknown")


def _looked_up(nodes: _Nodes, name: str, values: NDArray[np.int64], index: str) -> str:
    found = nodes.add("Gather", [nodes.number(f"{name}_table", smallest(values)), index], f"{name}_small")
    return nodes.add("Cast", [found], name, to=TensorProto.INT64)


def _slice(nodes: _Nodes, source: str, start: int, end: int, name: str) -> str:
    start_name, end_name = nodes.number(f"{name}_from", np.array([start])), nodes.number(f"{name}_to", np.array([end]))
    return nodes.add("Slice", [source, start_name, end_name], name)


def _answer(nodes: _Nodes, logits: str, labels: Sequence[str], problem: ProblemType) -> list[onnx.ValueInfoProto]:
    """Add probabilities and label, or labels; returns the outputs of the graph."""
    names = nodes.text("labels", labels)
    if logits != LOGITS:
        nodes.nodes.append(helper.make_node("Identity", [logits], [LOGITS]))
    if problem == SEVERAL_LABELS:
        nodes.nodes.append(helper.make_node("Sigmoid", [logits], [PROBABILITIES]))
        decided = _applying(nodes, logits, names)
    else:
        nodes.nodes.append(helper.make_node("Softmax", [logits], [PROBABILITIES], axis=-1))
        best = nodes.add("ArgMax", [logits], "best", axis=-1, keepdims=0)
        nodes.nodes.append(helper.make_node("Gather", [names, best], [LABEL], axis=0))
        decided = helper.make_tensor_value_info(LABEL, TensorProto.STRING, [1])
    shape = [1, len(labels)]
    return [
        helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, shape),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, shape),
        decided,
    ]


def _applying(nodes: _Nodes, logits: str, names: str) -> onnx.ValueInfoProto:
    """Add the names of the classes with a logit above 0; returns the output."""
    row = nodes.add("Reshape", [logits, nodes.number("logits_row", np.array([-1]))], "row_of_logits")
    applies = nodes.add("Greater", [row, nodes.number("none", np.array(0, np.float32))], "applies")
    nodes.nodes.append(helper.make_node("Compress", [names, applies], [APPLYING], axis=0))
    return helper.make_tensor_value_info(APPLYING, TensorProto.STRING, ["applying"])


def _filler(value: int) -> onnx.TensorProto:
    return helper.make_tensor("value", TensorProto.INT64, [1], [value])


def _opsets(versions: Mapping[str, int]) -> list[onnx.OperatorSetIdProto]:
    wanted = {_ML: 2, _CONTRIB: 1} | {domain or "": version for domain, version in versions.items()}
    return [helper.make_opsetid(domain, version) for domain, version in sorted(wanted.items())]


def _character_class(ranges: Sequence[tuple[int, int]]) -> str:
    """Return a character class in RE2's syntax."""
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges) + "]"


def _escaped(token: str) -> str:
    r"""Return a pattern in RE2's syntax that matches a token as it is written; RE2 takes no `\E` of a letter."""
    return "".join(char if char.isalnum() else rf"\x{{{ord(char):X}}}" for char in token)
