"""Every way in which edgedistill refuses, with its exit code and the next thing to type.

    EdgedistillError 1              an internal error; everything below is expected
    |-- UsageError 2                a bad argument or option
    |   |-- RecipeError             a recipe that cannot be read or contradicts itself
    |   |-- TargetError             a target profile that cannot be read
    |   |-- DataError               a data file that cannot be used
    |   |-- DeviceError             a device that answers and cannot do the work: out of memory, or full
    |   |-- TeacherError            a teacher that cannot be found or must not be loaded
    |   |-- ArtifactError           a file of a run that is missing or is not what its manifest says
    |   |-- TrainingDivergedError   a training whose loss is no number any more
    |   |-- BundleError             a bundle that is incomplete or altered
    |   `-- StorageError            a folder that cannot be written: read-only, full, or in use
    |-- GoalMissedError 3           a goal or a budget is missed; all artifacts are written
    |-- ParityError 4               the converted model answers differently
    |-- TargetUnreachableError 5    the device does not answer
    `-- MissingDependencyError 6    an optional package is not installed

A class without a number has its parent's.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what an error carries is of no module that this one may need
    from edgedistill.plan import Misfit


class EdgedistillError(Exception):
    """A failure that a person can act on.

    Args:
        message: what happened, naming file, line and column or key where there is one.
        hint: the next thing to do, preferably a command to type.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EdgedistillError):
    """A command line or a call that cannot mean anything."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read, or that contradicts itself."""


class TargetError(UsageError):
    """A target profile that cannot be read, or that holds an impossible value."""


class DataError(UsageError):
    """A data file that cannot be used; the message names file and line."""


class DeviceError(UsageError):
    """A device that answers and cannot do the work: it is out of memory or full, or what is installed there fails."""


class TeacherError(UsageError):
    """A teacher that cannot be found, or that must not be loaded."""


class ArtifactError(UsageError):
    """A file of a run that is missing, or that is not what its manifest says."""


class TrainingDivergedError(UsageError):
    """A training whose loss is not finite any more: the learning rate is too high for it."""


class BundleError(UsageError):
    """A bundle that is incomplete or was altered."""


class StorageError(UsageError):
    """A folder that cannot be written: read-only, full, or used by another run."""


class GoalMissedError(EdgedistillError):
    """A goal or a budget is missed; every artifact is written all the same.

    Args:
        message: what happened.
        hint: the next thing to do.
        misfit: where no student fits a target: every shape that was considered, with what it misses.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str, misfit: "Misfit | None" = None) -> None:
        super().__init__(message, hint=hint)
        self.misfit = misfit


class ParityError(EdgedistillError):
    """A converted model does not give the answers of the model it was made from."""

    exit_code = 4


class TargetUnreachableError(EdgedistillError):
    """A device did not answer, or the connection to it broke."""

    exit_code = 5


class MissingDependencyError(EdgedistillError):
    """An optional package is needed and is not installed."""

    exit_code = 6


INTERRUPTED_EXIT_CODE = 130
"""The shell's own convention for a run stopped with Ctrl-C (128 + SIGINT)."""
