"""Ask a bundle of pictures: files in, answers out, with onnxruntime, numpy and Pillow, as an app would do it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import ArtifactError, BundleError, DataError
from edgedistill.evaluate.predictor import open_predictor
from edgedistill.package.answer import Answer, answer_of, require_sound_files
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import LABELS_FILE, ONNX_FILE, read_labels
from edgedistill.tasks.image_classification.decode import BrokenPictureError, open_picture
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, PictureEncoder, Preprocessing, as_inputs, fit_whole


def predict_files(bundle: Path, files: Sequence[Path], *, top: int = 5) -> tuple[Answer, ...]:
    """Classify picture files with a bundle, each on its own as on the device.

    Args:
        bundle: a bundle's folder or its zip.
        files: any number of pictures.
        top: classes in `Answer.top` at most.

    Raises:
        BundleError: it is no bundle of pictures, or a file that is needed is missing or altered.
        DataError: a file is missing or no picture.
    """
    with opened_bundle(bundle) as folder:
        require_sound_files(folder, (ONNX_FILE, PREPROCESSOR_FILE, LABELS_FILE))
        labels = read_labels(folder / LABELS_FILE).labels
        try:
            how, model = PictureEncoder.load(folder).how, open_predictor(folder / ONNX_FILE)
        except ArtifactError as bad:
            raise BundleError(f"{bundle}: {bad.message}", hint=bad.hint) from bad
        logits = [model.logits({"pixel_values": _inputs(file, how)})[0] for file in files]
    if logits and len(logits[0]) != len(labels):
        raise BundleError(f"{bundle}: {len(logits[0])} logits for {len(labels)} labels", hint="make the bundle again")
    return tuple(answer_of(row, labels, top=top) for row in logits)


def _inputs(file: Path, how: Preprocessing) -> NDArray[np.float32]:
    if not file.is_file():
        raise DataError(f"{file}: no such file", hint="edgedistill predict BUNDLE PICTURE.png")
    try:
        return as_inputs(fit_whole(open_picture(file).image, how)[None], how)
    except BrokenPictureError as bad:
        raise DataError(f"{file}: {bad}", hint="give a PNG, JPEG, BMP, GIF, WebP or TIFF file") from None
