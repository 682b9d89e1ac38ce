"""The model card (README.md) of a bundle of pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from edgedistill.package.card import (
    CardFigures,
    Kind,
    data_words,
    facts_table,
    front_matter,
    limits_words,
    own_tolerances,
    runtime_words,
)
from edgedistill.package.contents import TEXT_MODEL_FILE, BundleIdentity, PictureInput, PictureVectors, RuntimeBuild, Sizes
from edgedistill.package.precision import precision_of

_APPS = f"""## Apps

- Android: `android/` is a Gradle module. `PictureClassifier.fromAssets(context).classify(bitmap)` gives a `List<Prediction>`;
  `gradle connectedAndroidTest` replays the golden pictures on the device.
- iOS: this folder is a Swift package. `try PictureClassifier().classify(image)` gives `[Prediction]`; its test does the same.
- Web: copy this folder, `npm install` in its `web/`, serve the folder, open `web/index.html`. The page needs only
  `{TEXT_MODEL_FILE}`, `labels.json`, `golden.json` and `web/`."""


MEMORY_OF_12_MEGAPIXELS = {1: 12, 3: 18}
"""MB that the peak grows by for a model of 96 x 96 pixels, grey and RGB; benchmarks/results/picture_memory.json."""


@dataclass(frozen=True)
class PictureCardParts:
    """What the files of a bundle say that its card repeats.

    Attributes:
        told: the pre-processing, and how far its graph is from transformers'.
        build: how the runtime is made smaller, and what it should run on.
        golden: the golden pictures.
        model_bytes: size of model.onnx.
        sizes: of all files but the card and bundle.json.
        rows: labelled pictures by split.
    """

    told: PictureInput
    build: RuntimeBuild
    golden: PictureVectors
    model_bytes: int
    sizes: Sizes
    rows: Mapping[str, int]


def picture_card(identity: BundleIdentity, figures: CardFigures, parts: PictureCardParts) -> str:
    """Return the text of `README.md`, with the front matter that hubs read.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        parts: what the files say.
    """
    told, golden = parts.told, parts.golden
    front = yaml.safe_dump(front_matter(identity, figures), sort_keys=False, allow_unicode=True)
    classes = len(golden.vectors[0].logits)
    table = facts_table(identity, figures, classes=classes, model_bytes=parts.model_bytes, sizes=parts.sizes)
    kind = Kind("picture", "cameras, places or times", f"A picture is resized to {told.side} x {told.side} pixels, "
                f"{'grey' if told.channels == 1 else 'in colour'}; what is finer than that is not seen.")
    return f"""---
{front}---
# {identity.recipe_id} for {identity.target_id}

{figures.description or precision_of(identity.scheme).summary.format("image classifier")}

| | |
|---|---|
{table}

{_use(told)}

{_APPS}

{data_words(identity, figures, kind, parts.rows)}

{limits_words(identity, figures, kind, classes=classes)}

## Runtime

{runtime_words(parts.build, own="pre-processing")}

## Check

`python verify.py` compares every file with its sha256 in `bundle.json` and replays {len(golden.vectors)} golden pictures. A logit
may differ by {golden.tolerance:g} between instruction sets{own_tolerances(golden)}; the decision may not.

Licences: see [LICENSES.md](LICENSES.md).
"""


def _use(told: PictureInput) -> str:
    kind = "grey" if told.channels == 1 else "red, green and blue"
    return f"""## Use

With numpy, onnxruntime and, for the file, Pillow:

```python
import numpy as np, onnxruntime
from PIL import Image
model = onnxruntime.InferenceSession("{TEXT_MODEL_FILE}")
picture = np.asarray(Image.open("picture.png").convert("RGB"))  # 8 bits a channel; any size, upright
logits, probabilities, label = model.run(None, {{"image": picture}})
print(label[0], probabilities.max())
```

`{TEXT_MODEL_FILE}` takes uint8 of shape (height, width, 3); resizing to {told.side} x {told.side} ({kind}) and normalising are
in the graph, with operators of ONNX alone; reading the file, turning it upright and cropping are left to the app. A
grey picture of 16 bits is divided by 257 first, and the numbers are taken as the file has them: a colour profile is not applied,
which browsers and iOS do by themselves. The values that reach the model were compared with those of {compared_words(told)}.

{_memory_words(told)}

`model.onnx` and `model.ort` take `pixel_values`, float32, shape (1, {told.channels}, {told.side}, {told.side}), as
`preprocessor_config.json` says."""


def compared_words(told: PictureInput) -> str:
    """Say what transformers' processor was compared on, and how far the graph is from it."""
    return (
        f"transformers' ViTImageProcessor: on {told.compared:,} test pictures as they are stored (at most "
        f"{told.largest_difference:.1e} apart), and on {told.compared_resized:,} that had to be resized, of which "
        f"{told.compared_originals:,} had the size of their files and the rest were enlarged (at most "
        f"{told.largest_difference_resized:.1e} apart; one level of 255 is {1 / (255 * min(told.std)):.1e}, so that no pixel is "
        f"another one). Of these no decision is another one, and no logit is further than "
        f"{told.largest_logit_difference or 0.0:.2g} from that of model.onnx behind the processor"
    )


def _memory_words(told: PictureInput) -> str:
    added = MEMORY_OF_12_MEGAPIXELS[told.channels]
    return (f"A picture of 12 megapixels is 36 MB of bytes; resizing it to 96 x 96 takes {added} MB more for a moment. "
            "Let the system's decoder shrink large photographs where memory is short.")
