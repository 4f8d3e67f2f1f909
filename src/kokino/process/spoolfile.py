"""Gives back the disk space inside a file that another process goes on appending to."""

from __future__ import annotations

import ctypes
import errno
import os

#: Numbers from linux/falloc.h.
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2

# None where the system has no such call.
_fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
#: What a file system without holes, or a system without the call, answers.
_CANNOT = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})


def punch(descriptor: int, start: int, length: int) -> bool:
    """Make [start, start + length) a hole: it reads as zeros and takes no space; the size stays.

    `descriptor` is open for writing. False where the file system knows no holes; raises OSError for the rest.
    """
    if _fallocate is None:
        return False
    mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
    if _fallocate(descriptor, mode, ctypes.c_int64(start), ctypes.c_int64(length)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), "fallocate")
