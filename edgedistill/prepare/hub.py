"""Data sets of the hub by name, through `datasets.load_dataset`: the only place of prepare that uses the network."""

import errno
from typing import Any

from edgedistill.data_settings import HubData
from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import first_line, read_dataset
from edgedistill.prepare.rows import LabelledTexts

_STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def read_hub_split(hub: HubData, split: str, columns: Columns) -> LabelledTexts:
    """Read one split of a data set of the hub, from the hub's cache where it is there.

    Args:
        hub: which data set.
        split: the split's name on the hub.
        columns: where the texts and the labels are.

    Raises:
        DataError: the data set, configuration or split does not exist, or the hub cannot be reached.
    """
    return read_dataset(load_hub_split(hub, split), columns, source=place_on_hub(hub, split))


def place_on_hub(hub: HubData, split: str) -> str:
    """Return how messages name a split of a data set of the hub."""
    return f"{hub.name} ({split})"


def load_hub_split(hub: HubData, split: str) -> Any:
    """Return the `datasets.Dataset` of a split, from the hub's cache where it is there; errors as `read_hub_split`."""
    import datasets  # takes a second; only saved folders and hub data sets need it
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    try:
        return datasets.load_dataset(hub.name, hub.config, revision=hub.revision, split=split)
    except DatasetNotFoundError:
        raise DataError(f"{hub.name}: no such data set on the hub, or it is not public",
                        hint="check data.hub.name and data.hub.revision; a private one needs: hf auth login") from None
    except DatasetsError as bad:
        raise _wrong_name(hub, bad) from None
    except OSError as bad:  # what fails on the network is one: the errors of requests and of the hub derive from it
        if bad.errno in _STORAGE_ERRNOS:
            raise
        raise DataError(f"{hub.name}: the hub cannot be reached, and its cache lacks the data set ({first_line(bad)})",
                        hint="connect and run it again, or name files instead: data.train: FILE, or a folder that "
                             f"load_dataset({hub.name!r}).save_to_disk(DIR) wrote elsewhere") from None
    except RuntimeError as bad:  # a data set that is a program, which `datasets` no longer runs
        raise DataError(f"{hub.name}: {first_line(bad)}",
                        hint="name a revision with Parquet files (data.hub.revision: refs/convert/parquet), or save the data set "
                             "elsewhere and give the files: data.train: FILE") from None
    except ValueError as bad:
        raise _wrong_name(hub, bad) from None


def _wrong_name(hub: HubData, bad: Exception) -> DataError:
    return DataError(f"{hub.name}: {first_line(bad)}",
                     hint="check data.hub.config and the split names data.hub.train, .validation and .test")
