"""The model that takes raw text: made where the tokenizer is BERT's, shipped where it is proved to give the same ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime

from edgedistill.package.bert_rules import BertRules, bert_problem, bert_rules
from edgedistill.package.contents import TEXT_MODEL_FILE, Labels, Preprocessing
from edgedistill.package.fuzz import fuzzed_texts
from edgedistill.package.in_graph import IDS_OUTPUT, TEXT_INPUT, classifier_of_text, piece_table, tokenizer_model
from edgedistill.package.standalone_verify import extensions_library
from edgedistill.progress import counted
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder

_OLDEST_OPSET = 14
"""CumSum of int64 and Compress as used in front of the model are as old as this or older."""

_SHOWN = 3

_FUZZED = 200
"""Texts that are made up for the proof, beside those at hand; the slow tests take 100,000."""


@dataclass(frozen=True)
class TextModel:
    """A model that takes raw text, or why there is none.

    Attributes:
        model: the .onnx file; None where there is none.
        rules: the tokenizer as tables; None where it is not BERT's or the proof failed.
        told: what bundle.json says about it.
    """

    model: bytes | None
    rules: BertRules | None
    told: Preprocessing


@dataclass(frozen=True)
class Difference:
    """A text to which the graph gives other ids than tokenizer.json."""

    text: str
    expected: tuple[int, ...]
    found: tuple[int, ...]


def make_text_model(
    model: bytes, tokenizer_json: str, *, labels: Labels, encoder: TextEncoder, texts: Iterable[Sequence[str]],
    limit_bytes: int | None = None,
) -> TextModel:
    """Put the tokenizer in front of a model, if every text at hand, and every fuzzed one, then gets the same ids as before.

    Args:
        model: the .onnx file that ships.
        tokenizer_json: its tokenizer.
        labels: name of each class, and whether a text may have several.
        encoder: the same tokenizer, read.
        texts: the texts of all splits, in batches.
        limit_bytes: the target's budget for model files; None: none.
    """
    reason = _why_not(model, tokenizer_json)
    if reason:
        return _none(reason)
    rules = bert_rules(tokenizer_json)
    session = open_text_session(tokenizer_model(rules, opset=_opset(model)).SerializeToString())
    proved = 0
    own: list[str] = []
    for batch in texts:
        differences = differing_texts(session, encoder, batch)
        if differences:
            return _none(_told(differences, of=f"{len(batch)} texts"), texts_proved=proved)
        proved += len(batch)
        own += batch[: _FUZZED - len(own)]
    fuzzed = list(fuzzed_texts(_FUZZED, own=own))
    differences = differing_texts(session, encoder, fuzzed)
    if differences:
        return _none(_told(differences, of=f"{_FUZZED} fuzzed texts"), texts_proved=proved)
    graph = classifier_of_text(onnx.load_from_string(model), rules, labels.labels, labels.problem_type)
    made = graph.SerializeToString(deterministic=True)
    table = piece_table(rules)
    return TextModel(made, rules, Preprocessing(
        file=TEXT_MODEL_FILE, reason=None, texts_proved=proved, texts_fuzzed=len(fuzzed), added_bytes=len(made) - len(model),
        pieces=len(table.lines), piece_table_bytes=table.size_bytes,
        fits_budget=None if limit_bytes is None else len(made) <= limit_bytes,
    ))


def open_text_session(model: bytes) -> Any:
    """Open a model that has nodes of onnxruntime-extensions; returns onnxruntime's session."""
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions_library())
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def graph_ids(session: Any, text: str) -> tuple[int, ...]:
    """Return the ids that a tokenizer's graph gives to one text."""
    return tuple(session.run([IDS_OUTPUT], {TEXT_INPUT: np.array([text], object)})[0][0].tolist())


def differing_texts(session: Any, encoder: TextEncoder, texts: Sequence[str]) -> tuple[Difference, ...]:
    """Return the texts to which a tokenizer's graph gives other ids than the tokenizer that it was made from.

    Args:
        session: from `open_text_session`, with the output `input_ids`.
        encoder: the tokenizer.
        texts: any number.
    """
    encoded = encoder.encode(texts)
    shown = counted(texts, what="comparing ids of", total=len(texts), unit="texts")
    pairs = ((text, _row(encoded, i), graph_ids(session, text)) for i, text in enumerate(shown))
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def _row(encoded: EncodedTexts, row: int) -> tuple[int, ...]:
    return tuple(int(i) for i in encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]])


def _why_not(model: bytes, tokenizer_json: str) -> str | None:
    if extensions_library() is None:
        return "onnxruntime-extensions is not installed where the bundle was made"
    if _opset(model) < _OLDEST_OPSET:
        return f"the model's opset is older than {_OLDEST_OPSET}"
    problem = bert_problem(tokenizer_json)
    return f"the tokenizer cannot be put into the graph: {problem}" if problem else None


def _opset(model: bytes) -> int:
    imports = onnx.load_from_string(model).opset_import
    return next(int(item.version) for item in imports if item.domain in ("", "ai.onnx"))


def _told(differences: Sequence[Difference], *, of: str) -> str:
    shown = "; ".join(
        f"{ascii(d.text[:60])} should give {_short(d.expected)}, the graph gives {_short(d.found)}"
        for d in differences[:_SHOWN]
    )
    more = f" (+{len(differences) - _SHOWN} more)" if len(differences) > _SHOWN else ""
    return f"other ids than tokenizer.json for {len(differences)} of {of}: {shown}{more}"


def _short(ids: tuple[int, ...]) -> str:
    return " ".join(map(str, ids[:12])) + (" ..." if len(ids) > 12 else "")


def _none(reason: str, *, texts_proved: int = 0) -> TextModel:
    return TextModel(None, None, Preprocessing(
        file=None, reason=reason, texts_proved=texts_proved, texts_fuzzed=0, added_bytes=0, pieces=0,
        piece_table_bytes=0, fits_budget=None,
    ))
