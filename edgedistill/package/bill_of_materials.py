"""The bill of materials: a CycloneDX 1.6 ML-BOM of the model, its teacher, its data and its runtime, as JSON.

Source: CycloneDX specification 1.6, components of type "machine-learning-model" with a "modelCard".
"""

import json
import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from edgedistill.package.card import CardFigures
from edgedistill.package.contents import ONNX_FILE, BundleIdentity
from edgedistill.package.precision import precision_of
from edgedistill.tasks.registry import task_named

_NAMESPACE = uuid.UUID("6f1c1a52-8b0f-4b0e-9f0e-3d0f6c2b7a11")
"""Makes the serial number a function of the model, so that the same bundle has the same one."""

_SIMPLE_LICENCES = frozenset({
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0",
    "GPL-2.0-only", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-3.0-only", "MIT", "MPL-2.0", "ODbL-1.0", "Unlicense",
})
"""SPDX ids that may stand as `id`; the schema has all of them, and what is not among these is told by `name`."""

_FORMATS: Mapping[str, str] = {"text": "text", "picture": "image"}
"""What a model takes, in the words of the specification, by what a task calls an example."""


def bill_of_materials(
    identity: BundleIdentity, figures: CardFigures, *, files: Mapping[str, bytes], runtime: str
) -> str:
    """Return the text of `bom.cdx.json`; without a time, so that the same bundle gives the same bytes.

    Args:
        identity: whose bundle it is.
        figures: accuracy and licences.
        files: models and tokenizer by file name, model.onnx among them.
        runtime: version of onnxruntime that the golden vectors were computed with.
    """
    digest = sha256(files[ONNX_FILE]).hexdigest()
    parts = [_file(name, content) for name, content in sorted(files.items())]
    content = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": _student(identity, figures, digest) | {"components": parts}},
        "components": [
            _component("teacher", "machine-learning-model", identity.base_model, licence=figures.teacher_licence),
            _component("data", "data", f"data of {identity.recipe_id}", licence=figures.data_licence)
            | {"data": [{"type": "dataset", "name": identity.recipe_id, "description": "trained and measured on"}]},
            _component("onnxruntime", "library", "onnxruntime", licence="MIT")
            | {"version": runtime, "purl": f"pkg:pypi/onnxruntime@{runtime}", "scope": "excluded"},
        ],
        "dependencies": [
            {"ref": "student", "dependsOn": ["teacher", "data", "onnxruntime"]},
            *({"ref": name} for name in ("teacher", "data", "onnxruntime")),
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _student(identity: BundleIdentity, figures: CardFigures, digest: str) -> dict[str, Any]:
    pedigree = f"distilled from {identity.base_model}{precision_of(identity.scheme).pedigree}"
    return {
        "bom-ref": "student", "type": "machine-learning-model", "name": f"{identity.recipe_id}-{identity.target_id}",
        "version": digest[:12], "description": figures.description or pedigree,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "pedigree": {"ancestors": [_component("ancestor", "machine-learning-model", identity.base_model)],
                     "notes": pedigree},
        "properties": [{"name": "edgedistill:file", "value": ONNX_FILE},
                       {"name": "edgedistill:target", "value": identity.target_id}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"}, "task": identity.task, "datasets": [{"ref": "data"}],
                "inputs": [{"format": _FORMATS[task_named(identity.task).example]}],
                "outputs": [{"format": "class and probability"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(figures)},
            "considerations": {"technicalLimitations": [
                "Latency and memory are those of the report, not of this file.",
                "Golden vectors prove sameness, not quality.",
            ]},
        },
    }


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"bom-ref": f"file:{name}", "type": "file", "name": name,
            "hashes": [{"alg": "SHA-256", "content": sha256(content).hexdigest()}]}


def _metrics(figures: CardFigures) -> list[dict[str, Any]]:
    known = (("accuracy", figures.accuracy), ("macro-F1", figures.macro_f1),
             ("accuracy of the teacher", figures.teacher_accuracy))
    return [
        {"type": name, "value": f"{value.value:.4f}", "slice": "test split",
         "confidenceInterval": {"lowerBound": f"{value.low:.4f}", "upperBound": f"{value.high:.4f}"}}
        for name, value in known
        if value is not None
    ]


def _component(reference: str, kind: str, name: str, *, licence: str = "unknown") -> dict[str, Any]:
    found: dict[str, Any] = {"bom-ref": reference, "type": kind, "name": name}
    if licence != "unknown":  # the field is for what is known; LICENSES.md says what is not
        found["licenses"] = [{"license": {"id" if licence in _SIMPLE_LICENCES else "name": licence}}]
    return found
