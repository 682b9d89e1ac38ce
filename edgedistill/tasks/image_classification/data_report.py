"""What was found in the pictures, as a document: rows, sizes, what is broken, what was done to which."""

from pydantic import Field

from edgedistill.document import Document
from edgedistill.prepare.data_report import WrittenSplit


class PictureSplit(WrittenSplit):
    """One split of pictures, and what was dropped before."""

    dropped_duplicates: int = Field(description="pictures left out because an earlier one of train has the same pixels and class")
    dropped_in_other_splits: int = Field(description="pictures left out because the same pixels stand in validation or test")


class PictureReport(Document):
    """What was read, checked, decoded, dropped and split."""

    classes: tuple[str, ...]
    side: int = Field(description="pixels, at which the pictures are stored and the student sees them")
    channels: int = Field(description="1: grey, 3: red, green, blue")
    train: PictureSplit
    validation: PictureSplit
    test: PictureSplit
    treated: dict[str, int] = Field(
        description="pictures that were animated (first frame taken), rotated (by EXIF), of 16 bits, of 16 bits and dark "
        "(no value above 4,095), of floats, with a palette, transparent"
    )
    broken: tuple[str, ...] = Field(description="pictures that could not be decoded and were left out, and why")
    ignored: tuple[str, ...] = Field(description="files in class folders that are no pictures that are read")
    beside: tuple[str, ...] = Field((), description="pictures beside the folders of the classes, which nothing says the class of")
    empty: tuple[str, ...] = Field((), description="folders of classes that hold no picture")
    single: tuple[str, ...] = Field(description="classes with one picture: it is in train, so they are judged nowhere")
    conflicting: int = Field(description="different pictures that stand under two or more labels")
