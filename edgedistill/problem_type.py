"""May an example have one label, or several or none? In the words of transformers' `problem_type`, which config.json holds."""

from typing import Any, Literal

ProblemType = Literal["single_label_classification", "multi_label_classification"]

ONE_LABEL: ProblemType = "single_label_classification"
SEVERAL_LABELS: ProblemType = "multi_label_classification"


def problem_of(config: Any) -> ProblemType:
    """Return what a model's configuration says: of config.json as a mapping, or as transformers has it; one label by default."""
    said = config.get("problem_type") if isinstance(config, dict) else getattr(config, "problem_type", None)
    return SEVERAL_LABELS if said == SEVERAL_LABELS else ONE_LABEL
