"""Vocabulary surgery: the student's smaller vocabulary, and a tokenizer in which no token is lost.

A WordPiece teacher's tokens all stay in the student's tokenizer; those the student has no row for carry the id of
their nearest kept neighbour, by what the fine-tuned teacher makes of a token rather than by how it is spelled. So text
never turns into UNK that the teacher could read, and any library that reads tokenizer.json applies the map. (Loading and
saving that file with `tokenizers` would drop the aliases: it is only ever copied.)
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError
from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS, TextEncoder

_PLACEHOLDER = re.compile(r"\[unused\d+\]")
"""Entries that BERT's vocabularies keep free: no text has them, and nothing was learned for them."""


@dataclass(frozen=True)
class StudentVocabulary:
    """Which of the teacher's tokens the student keeps, and where the others go.

    Attributes:
        kept: teacher ids in the order of the student's ids, shape (vocabulary,).
        student_id_of: for each teacher id the student's id, shape (teacher vocabulary,).
    """

    kept: NDArray[np.int64]
    student_id_of: NDArray[np.int64]

    @property
    def left_out(self) -> int:
        """Tokens that the student has no row for."""
        return len(self.student_id_of) - len(self.kept)


def choose_vocabulary(
    counts: NDArray[np.int64], vectors: NDArray[np.floating] | None, special_ids: tuple[int, ...], *, size: int,
    placeholders: Sequence[int] = (),
) -> StudentVocabulary:
    """Choose the student's tokens and map the rest.

    Kept are the special tokens, then tokens by how often the training and transfer texts use them (ties: the lower id,
    which is the more general one in WordPiece vocabularies), until `size` is reached.

    Args:
        counts: uses of each teacher token, shape (teacher vocabulary,).
        vectors: what the teacher makes of each token, shape (teacher vocabulary, any); likeness is their cosine around
            their mean. None: tokens that are not kept go to [UNK].
        special_ids: teacher ids of `SPECIAL_TOKENS`, in that order; they become 0 .. 4.
        size: tokens the student knows at most.
        placeholders: ids that stand for no text, see `placeholders_of`; they are kept only where a text has them after all, and
            nothing is sent to them.
    """
    by_use = np.lexsort((np.arange(len(counts)), -counts))
    ordinary = by_use[~np.isin(by_use, special_ids)]
    useful = ordinary[(counts[ordinary] > 0) | ~np.isin(ordinary, placeholders)]
    kept = np.concatenate([np.asarray(special_ids), useful[: size - len(special_ids)]]).astype(np.int64)
    student_id_of = np.full(len(counts), SPECIAL_TOKENS.index("[UNK]"), np.int64)
    student_id_of[kept] = np.arange(len(kept))
    if vectors is not None:
        rest = np.setdiff1d(np.arange(len(counts)), kept)
        words = kept[len(special_ids) :]
        candidates = words[~np.isin(words, placeholders)]
        student_id_of[rest] = student_id_of[_nearest(vectors, rest, candidates if len(candidates) else words)]
    return StudentVocabulary(kept, student_id_of)


def placeholders_of(tokens: Sequence[str | None]) -> list[int]:
    """Return the ids of a vocabulary's placeholders, `[unused1]` and the like; `tokens` are its tokens by id."""
    return [index for index, token in enumerate(tokens) if token is None or _PLACEHOLDER.fullmatch(token)]


def _nearest(
    vectors: NDArray[np.floating], rest: NDArray[np.int64], candidates: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return for each id of `rest` its nearest candidate, shape (len(rest),)."""
    centred = vectors.astype(np.float32) - vectors.mean(axis=0, dtype=np.float32)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    nearest = np.empty(len(rest), np.int64)
    for start in range(0, len(rest), 2048):
        scores = unit[rest[start : start + 2048]] @ unit[candidates].T
        nearest[start : start + 2048] = candidates[scores.argmax(axis=1)]
    return nearest


def prove_ids(
    teacher: TextEncoder, student: TextEncoder, student_id_of: NDArray[np.int64], texts: Sequence[str]
) -> None:
    """Check, id for id, that the student's tokenizer gives what the vocabulary promises for the teacher's ids.

    Args:
        teacher: the teacher's tokenizer.
        student: the student's.
        student_id_of: for each teacher id the student's id, shape (teacher vocabulary,).
        texts: to be read by both.

    Raises:
        ArtifactError: it does not; names the first text.
    """
    theirs, ours = teacher.encode(texts), student.encode(texts)
    if np.array_equal(theirs.offsets, ours.offsets) and np.array_equal(student_id_of[theirs.ids], ours.ids):
        return
    for place, text in enumerate(texts):
        expected = student_id_of[theirs.ids[theirs.offsets[place] : theirs.offsets[place + 1]]]
        if not np.array_equal(expected, ours.ids[ours.offsets[place] : ours.offsets[place + 1]]):
            raise ArtifactError(f"the student's tokenizer reads {text!r} otherwise than the teacher's",
                                hint="choose another teacher, and report this one: its tokenizer cannot be reduced")


def student_tokenizer_json(teacher_json: str, vocabulary: StudentVocabulary) -> str:
    """Return the student's tokenizer.json: the teacher's, with every token's id replaced by the student's.

    Args:
        teacher_json: a WordPiece tokenizer.json.
        vocabulary: the student's.
    """
    content = json.loads(teacher_json)
    ids = {token: int(vocabulary.student_id_of[index]) for token, index in content["model"]["vocab"].items()}
    for token in content.get("added_tokens") or ():
        token["id"] = int(vocabulary.student_id_of[token["id"]])
        ids.setdefault(token["content"], token["id"])  # the library gives those that the model does not know new ids
    content["model"]["vocab"] = ids
    post = content.get("post_processor") or {}
    for special in (post.get("special_tokens") or {}).values():
        special["ids"] = [int(vocabulary.student_id_of[index]) for index in special["ids"]]
    for name in ("cls", "sep"):  # BertProcessing and RobertaProcessing hold [token, id]
        if isinstance(post.get(name), list):
            post[name][1] = int(vocabulary.student_id_of[post[name][1]])
    if isinstance(content.get("padding"), dict):
        content["padding"]["pad_id"] = 0
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def read_student_ids(teacher_json: str, student_json: str) -> NDArray[np.int64]:
    """Return for each teacher id the student's id of the same token, shape (teacher vocabulary,).

    Args:
        teacher_json: a WordPiece tokenizer.json.
        student_json: what `student_tokenizer_json` made of it.

    Raises:
        ArtifactError: the student's file lacks a token of the teacher's.
    """
    theirs, ours = _ids(teacher_json), _ids(student_json)
    missing = sorted(theirs.keys() - ours.keys())
    if missing:
        raise ArtifactError(f"the student's tokenizer.json has no {missing[0]!r}: {len(missing)} of {len(theirs)} are missing",
                            hint="make the student again, and copy its tokenizer.json as a file: other tools drop its aliases")
    student_id_of = np.zeros(max(theirs.values()) + 1, np.int64)
    for token, index in theirs.items():
        student_id_of[index] = ours[token]
    return student_id_of


def _ids(tokenizer_json: str) -> dict[str, int]:
    content = json.loads(tokenizer_json)
    return {**content["model"]["vocab"], **{token["content"]: token["id"] for token in content.get("added_tokens") or ()}}


def with_other_name(tokenizer_json: str, token: str, name: str) -> str:
    """Return a tokenizer.json that reads another spelling of one of its special tokens as that token.

    Args:
        tokenizer_json: a WordPiece tokenizer.json.
        token: one of its added tokens.
        name: how it may be written too.
    """
    content = json.loads(tokenizer_json)
    known = next(added for added in content["added_tokens"] if added["content"] == token)
    content["added_tokens"].append({**known, "content": name})
    content["model"]["vocab"][name] = known["id"]  # the library gives those that the model does not know new ids
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
