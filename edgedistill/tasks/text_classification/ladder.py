"""The shipped shapes of text students."""

from edgedistill.catalog import data_folder
from edgedistill.shape import StudentShape, read_ladder


def ladder() -> tuple[StudentShape, ...]:
    """Return the rungs of models/students.yaml."""
    return read_ladder(data_folder("models") / "students.yaml").rungs
