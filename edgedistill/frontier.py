"""A row of the frontier: one trial of the search for a student, as it stands in report.json."""

from typing import Literal

from pydantic import Field

from edgedistill.document import Document


class FrontierRow(Document):
    """One trial of the search: a student shape with settings, what it costs and how well it answers validation."""

    trial: int
    rung: str
    parameters: int
    int8_bytes: int = Field(description="of the int8 file; of a trial without one, what the plan predicts")
    latency_p50_s: float = Field(description="on the target, predicted")
    float_accuracy: float | None = Field(description="on validation, of the float ONNX student; null without one")
    int8_accuracy: float | None
    teacher_accuracy: float = Field(description="on validation, of the teacher's ONNX export")
    metric: Literal["accuracy", "macro_f1"] = Field("accuracy", description="by which the trials were ranked")
    int8_macro_f1: float | None = Field(None, description="null without an int8 student, and in documents older than this figure")
    teacher_macro_f1: float | None = Field(None, description="null in documents older than this figure")
    temperature: float
    alpha: float
    learning_rate: float
    batch_size: int
    rows_seen: int | None = Field(None, description="examples the training was planned for, repeats counted")
    transfer_rows: int = Field(description="unlabelled texts asked for at most")
    transfer_words: int | None = Field(None, description="words of them asked for at most")
    scheme: str = Field(description="int8 scheme that was taken; of a trial without an int8 file, that was asked for")
    met_goal: bool = Field(description="every goal kept on validation by the margin, and the file within the budgets")
    is_kept_by_chance: bool = Field(False, description="every goal kept there, but by less than the margin that is asked for")
    is_pruned: bool
    finding: str = Field(description="what the diagnosis calls it")
    finding_text: str
    because: str = Field(description="why this trial was made")
    is_chosen: bool
    run: str | None = Field(None, description="the run folder it lies in, when that is another than this one's")

    @property
    def figure(self) -> float | None:
        """What the trial was ranked by: its int8 student's accuracy or macro-F1 on validation; None without one."""
        return self.int8_accuracy if self.metric == "accuracy" else self.int8_macro_f1

    @property
    def teacher_figure(self) -> float:
        """The teacher's figure by the same metric."""
        return self.teacher_accuracy if self.metric == "accuracy" else self.teacher_macro_f1 or 0.0
