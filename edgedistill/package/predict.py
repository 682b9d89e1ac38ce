"""Ask a bundle: texts in, answers out, with onnxruntime and tokenizers alone, as an app would do it."""

from collections.abc import Sequence
from pathlib import Path

from edgedistill.errors import ArtifactError, BundleError, UsageError
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.package.answer import Answer, answer_of, require_sound_files
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import LABELS_FILE, ONNX_FILE, TOKENIZER_FILE, read_labels
from edgedistill.tasks.text_classification.encoding import TextEncoder


def predict_text(bundle: Path, texts: Sequence[str], *, top: int = 5) -> tuple[Answer, ...]:
    """Classify texts with a bundle, each on its own as on the device.

    Args:
        bundle: a bundle's folder or its zip.
        texts: any number of texts; a single string counts as one text.
        top: classes in `Answer.top`; see `answer_of`.

    Returns:
        One answer a text, in order.

    Raises:
        BundleError: it is no bundle, a file that is needed is missing or altered, or its parts do not fit together.
        UsageError: a text holds half a surrogate pair, which is no character.
    """
    asked = [texts] if isinstance(texts, str) else list(texts)
    _refuse_halves(asked)
    with opened_bundle(bundle) as folder:
        require_sound_files(folder, (ONNX_FILE, TOKENIZER_FILE, LABELS_FILE))
        known = read_labels(folder / LABELS_FILE)
        try:
            encoded = TextEncoder.load(folder).encode(asked)
            logits = predict(open_predictor(folder / ONNX_FILE), encoded)
        except ArtifactError as bad:
            raise BundleError(f"{bundle}: {bad.message}", hint=bad.hint) from bad
    if asked and logits.shape[1] != len(known.labels):
        raise BundleError(f"{bundle}: {logits.shape[1]} logits for {len(known.labels)} labels", hint="make the bundle again")
    return tuple(answer_of(row, known.labels, top=top, problem=known.problem_type) for row in logits)


def _refuse_halves(texts: Sequence[str]) -> None:
    for number, text in enumerate(texts, start=1):
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise UsageError(f"text {number} holds half a surrogate pair: {ascii(text[:60])}", hint="give whole UTF-8 text")
