"""The section `quantization` of a recipe: how weights and activations become int8, and what int8 must keep."""

from typing import Literal

from pydantic import Field

from edgedistill.document import Document

Int8Scheme = Literal[
    "auto", "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range", "dynamic_wi8_afp32_per_channel",
    "dynamic_wi8_afp32_per_channel_reduced_range", "dynamic_wu8_afp32", "dynamic_wu8_afp32_per_channel", "static_wi8_ai8",
    "static_wi8_ai8_reduced_range", "static_wi8_ai8_per_channel", "static_wi8_ai8_per_channel_reduced_range", "static_wi8_au8",
    "static_wi8_au8_reduced_range", "static_wi8_au8_per_channel", "static_wi8_au8_per_channel_reduced_range", "static_wu8_au8",
    "static_wu8_au8_per_channel", "weight_only_wi8_afp32", "weight_only_wi8_afp32_per_channel",
]
"""int8 schemes; docs/quantize.md says how to read the names."""


class Calibration(Document):
    """From what a static scheme learns the ranges of the activations: rows of the training split, never of the test split."""

    method: Literal["min-max", "percentile", "entropy"] = Field(
        "min-max", description="how a range is chosen; the others are tried when this one misses the goal"
    )
    rows: int = Field(256, ge=1, le=1_000_000, description="rows at most; memory does not grow with them")
    selection: Literal["random", "class-balanced", "informative"] = Field(
        "random", description="which rows: at random, as many of each class, or those on which the teacher is least sure"
    )


class PostTraining(Document):
    """How a finished model becomes int8, and what int8 must keep on the validation split."""

    scheme: Int8Scheme = Field(
        "auto", description="auto: by the target's instruction set, judged on the validation split"
    )
    calibration: Calibration = Calibration()
    max_accuracy_loss: float = Field(
        0.008, ge=0, le=1, description="accuracy that int8 may lose against the float model, as a share of the rows"
    )
    min_coverage: float = Field(
        0.7, ge=0, le=1, description="share of weight bytes, and of nodes on weights, that must be int8; below it the float "
        "model is shipped"
    )
    trials: int = Field(24, ge=0, le=1000, description="candidates that are tried to rescue int8 when all schemes miss the goal")
    time_limit_s: float = Field(600.0, gt=0, description="no further rescue is started after so long")
    timing: bool = Field(
        True, description="time the candidates where this machine has the target's int8 instructions; the fastest wins"
    )


class Quantization(PostTraining):
    """How weights and activations become int8, and what int8 must keep on the validation split."""

    aware: Literal["auto", "never", "always"] = Field(
        "auto", description="fine-tune the chosen student with fake-quantized weights and activations; auto: only when int8 "
        "misses the goal on validation and float does not. Texts only"
    )
    aware_steps: int = Field(300, ge=12, le=100_000, description="optimizer steps of that fine-tuning")
    aware_learning_rate: float = Field(2e-4, gt=0, lt=1, description="its peak; a fraction of the distillation's")

    @property
    def post_training(self) -> PostTraining:
        """What the court goes by: a change of the rest does not make it sit again."""
        return PostTraining.model_validate(self.model_dump(include=set(PostTraining.model_fields)))
