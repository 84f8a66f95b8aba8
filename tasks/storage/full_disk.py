"""A full local disk, told as an error that names the folder and the way out."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def room(setting: str, refused: Callable[[str], Exception]) -> Iterator[None]:
    """Raise another error if a disk or a quota is full.

    Parameters
    ----------
    setting
        Environment variable that names the folder.
    refused
        Makes the error from its reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        way_out = f"make room there, or set {setting} to a folder on another disk"
        raise refused(f"{error.strerror}; {way_out}") from error
