"""edgedistill: take a fine-tuned transformer to a small device.

The functions here are the commands of the same names; see `edgedistill.library`. Nothing is imported until one of them
is asked for, so that a benchmark's worker pays only for what it runs.

    import edgedistill as ed
    result = ed.run(ed.load_recipe("home-intents"), [ed.load_target("raspberry-pi")])
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedistill.library import (
        calibrate,
        distill,
        evaluate,
        export,
        load_recipe,
        load_target,
        measure,
        measure_detail,
        measure_on,
        package,
        plan,
        predict,
        prepare,
        quantize,
        report,
        run,
        teach,
        verify,
    )

__all__ = [
    "calibrate", "distill", "evaluate", "export", "load_recipe", "load_target", "measure", "measure_detail", "measure_on",
    "package", "plan", "predict", "prepare", "quantize", "report", "run", "teach", "verify",
]

__version__ = "0.1.0"


class _Library(ModuleType):
    """Keeps the names free for the functions where the import system would put the folders (docs/adr/0001)."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Library


def __getattr__(name: str) -> object:
    """Import a library function when it is asked for."""
    if name in __all__:
        from edgedistill import library

        return getattr(library, name)
    raise AttributeError(f"module 'edgedistill' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
