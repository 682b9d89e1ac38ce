"""The fixtures of the packaged tiny model, shared with tests/package."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "package_conftest", Path(__file__).parents[1] / "package" / "conftest.py"
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

tiny, inputs, settings, packed, bundle = (
    _module.tiny, _module.inputs, _module.settings, _module.packed, _module.bundle
)
