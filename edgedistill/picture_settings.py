"""The section `pictures` of a recipe: how pictures are read, stored and changed."""

from typing import Literal, Self

from pydantic import Field, model_validator

from edgedistill.document import Document

MOST_SIDE = 512
"""Pixels: larger pictures are not stored."""


class PictureChanges(Document):
    """What may become of a picture without its class becoming another one.

    The first five make the pictures that the teacher is trained on as well, each of its own class. Mixed pictures have no
    class but the teacher's answer: they are in the transfer set alone.
    """

    flip: bool = Field(False, description="mirror half of them left to right; not for digits and letters")
    shift: float = Field(0.08, ge=0, le=0.5, description="move by up to this share of the side")
    rotation_degrees: float = Field(10.0, ge=0, le=180, description="turn by up to so many degrees")
    zoom: float = Field(0.1, ge=0, lt=0.9, description="larger or smaller by up to this share")
    contrast: float = Field(0.2, ge=0, lt=1, description="contrast and brightness, more or less by up to this share")
    mixup: float = Field(0.25, ge=0, le=1, description="share that becomes a mean of two pictures (Zhang et al. 2018)")
    cutmix: float = Field(0.25, ge=0, le=1, description="share that gets a rectangle of another picture (Yun et al. 2019)")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.mixup + self.cutmix > 1:
            raise ValueError("mixup and cutmix are shares of the same pictures: at most 1 together")
        return self


class Pictures(Document):
    """How pictures are read, stored and changed; image tasks only."""

    column: str = Field("image", description="column of a table, or array of an .npz, that holds the pictures or their paths")
    side: int | None = Field(
        None, ge=8, le=MOST_SIDE, description="pixels: pictures are stored, and seen by the student, so high and wide; null: the "
        "plan chooses 32, 48, 64 or 96 within the targets' budgets, none larger than holds the median picture"
    )
    channels: Literal[1, 3] | None = Field(None, description="1: grey, 3: red, green, blue; null: by the pictures")
    teacher_copies: int = Field(10, ge=0, le=1000, description="changed copies of each picture for the teacher's "
                                "training, and for that of the student without a teacher")
    changes: PictureChanges = PictureChanges()
