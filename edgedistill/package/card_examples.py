"""The programs in a bundle's model card: a few lines of Python each, which run in the bundle's folder."""

from collections.abc import Sequence

from edgedistill.package.contents import GoldenVector, GoldenVectors, ModelInput, Preprocessing

_FROM_ENCODING = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
_FROM_IDS = {"input_ids": "np.array([ids]", "attention_mask": "np.ones((1, len(ids))", "token_type_ids": "np.zeros((1, len(ids))"}


def example_of_text(inputs: Sequence[ModelInput], golden: GoldenVectors) -> str:
    """Return a program that starts with a text."""
    example = _example_vector(golden)
    feed = ", ".join(f'"{i.name}": np.array([e.{_FROM_ENCODING[i.name]}], "{i.dtype}")' for i in inputs)
    return f"""import json, numpy as np, onnxruntime, tokenizers
model, tokenizer = onnxruntime.InferenceSession("model.onnx"), tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.no_padding()
e = tokenizer.encode({ascii(example.text)})
logits = model.run(None, {{{feed}}})[0][0]
{_decision(example)}"""


def example_of_ids(inputs: Sequence[ModelInput], golden: GoldenVectors) -> str:
    """Return a program that needs no tokenizer."""
    example = _example_vector(golden)
    feed = ", ".join(f'"{i.name}": {_FROM_IDS[i.name]}, "{i.dtype}")' for i in inputs)
    return f"""import json, numpy as np, onnxruntime
model, golden = onnxruntime.InferenceSession("model.onnx"), json.load(open("golden.json", encoding="utf-8"))
ids = golden["vectors"][{golden.vectors.index(example)}]["ids"]
logits = model.run(None, {{{feed}}})[0][0]
{_decision(example)}"""


def raw_text(preprocessing: Preprocessing, golden: GoldenVectors) -> str:
    """Return how raw text is classified without a tokenizer beside the model; nothing where no model takes it."""
    if preprocessing.file is None:
        return ""
    example = _example_vector(golden)
    output, decision = ("label", "[0]") if example.labels is None else ("labels", ".tolist()")
    return f"""
With numpy, onnxruntime and onnxruntime-extensions, from text without a tokenizer beside the model:

```python
import numpy as np, onnxruntime, onnxruntime_extensions
options = onnxruntime.SessionOptions()
options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
model = onnxruntime.InferenceSession("{preprocessing.file}", options)
print(model.run(["{output}"], {{"text": np.array([{ascii(example.text)}], object)}})[0]{decision})
```
"""


def _example_vector(golden: GoldenVectors) -> GoldenVector:
    """Return a vector that is rather short, and not the odd one at the end; with a label, where some have none."""
    by_length = sorted([v for v in golden.vectors if v.labels != ()] or golden.vectors, key=lambda vector: len(vector.text))
    return by_length[len(by_length) // 4]


def _decision(example: GoldenVector) -> str:
    """Return the lines that print what was decided, with that as a comment."""
    names = 'json.load(open("labels.json", encoding="utf-8"))["labels"]'
    if example.labels is None:
        return f"print({names}[logits.argmax()])  # {ascii(example.label)[1:-1]}"
    return f"""probabilities = 1 / (1 + np.exp(-logits))
print([name for name, p in zip({names}, probabilities) if p > 0.5])  # {ascii(list(example.labels))}"""
