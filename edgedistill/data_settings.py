"""The section `data` of a recipe: where the examples are, and how they are read."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from edgedistill.document import Document, wrong_at
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType


class HubData(Document):
    """A data set of the hub, read through `datasets`; the network is used only when a recipe has this."""

    name: str = Field(description="the data set's id on the hub, for example 'clinc/clinc_oos'")
    config: str | None = Field(None, description="the configuration of the data set, where it has several")
    revision: str | None = Field(None, description="commit or tag; pin it for runs that can be repeated")
    train: str = Field("train", description="name of the training split")
    validation: str | None = Field(None, description="name of the validation split; null: split off train")
    test: str | None = Field(None, description="name of the test split; null: split off train")


class Data(Document):
    """Where the labelled examples are. Paths are relative to the recipe's folder."""

    train: str | None = Field(
        None, description="CSV, TSV, JSONL (also .gz), Parquet or a saved `datasets` folder; of pictures also a folder with a "
        "folder for each class, .npz, or MNIST's idx"
    )
    validation: str | None = Field(None, description="the same; null: split off train, stratified and seeded")
    test: str | None = Field(None, description="the same; null: split off train, stratified and seeded")
    hub: HubData | None = Field(None, description="a data set of the hub, instead of files")
    unlabelled: str | None = Field(
        None, description="texts or pictures of your own without labels, for the teacher to label: as above (only the column of "
        "texts or pictures is read), .txt with a text or path a line, or a folder of pictures"
    )
    licence: str = Field("unknown", description="licence of the data; goes into the bundle")
    text_column: str = Field("text", description="column that holds the text")
    label_column: str = Field("label", description="column that holds the label, as a word or a number")
    several_labels: bool = Field(
        False, description="may a text have several labels, or none? The column then holds lists, or strings of labels between "
        "separators; an empty one says that no class applies. Text tasks"
    )
    label_columns: tuple[str, ...] = Field(
        (), description="instead of label_column: columns of 0 and 1, one for each class, of texts that may have several "
        "labels"
    )
    label_separator: str = Field(
        ",", min_length=1, max_length=8, description="with several_labels: what stands between the labels of a string"
    )
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="share of train split off when validation is null")
    test_share: float = Field(0.2, gt=0, lt=0.5, description="share of train split off when test is null")

    @property
    def separator(self) -> str | None:
        """What stands between the labels of a text; None where it has one."""
        return self.label_separator if self.may_have_several else None

    @property
    def may_have_several(self) -> bool:
        """May an example have several labels, or none?"""
        return self.several_labels or bool(self.label_columns)

    @property
    def problem_type(self) -> ProblemType:
        """May an example have several labels?"""
        return SEVERAL_LABELS if self.may_have_several else ONE_LABEL

    @field_validator("label_columns")
    @classmethod
    def _classes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) == 1:
            raise ValueError("one column of 0 and 1 says which of two classes a text has: name it as label_column")
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError("a name for each class, each once, none of them empty")
        return names

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.train is None and self.hub is None:
            raise ValueError("no training data: give data.train: FILE (or a folder), or data.hub: {name: ID} of the hub")
        if self.train is not None and self.hub is not None:
            raise ValueError("data.train and data.hub both name the training data: take one of them out")
        if self.hub is not None and (self.validation or self.test):
            raise ValueError("with data.hub the other splits are the data set's: name them as data.hub.validation and "
                             "data.hub.test, or save the data set to a folder and give files")
        return self

    @model_validator(mode="after")
    def _separator_has_a_use(self) -> Self:
        if self.label_separator != Data.model_fields["label_separator"].default and not self.may_have_several:
            raise wrong_at(("label_separator",), "it stands between several labels, of which a text has one here: set "
                           "several_labels: true too")
        return self
