"""Files that a header names: found beside it only.

A header may name any path, so the name is taken apart before anything is opened: it must be a plain name in the
header's own folder (``./`` is let be). Nothing else is looked for, on the disk or in an archive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medshard.errors import ReadError
from medshard.readers.base import Blob
from medshard.readers.limits import MAX_FRAMES

__all__ = ["companion_data", "numbered_names", "path_beside"]

_MAX_NAME = 255
_NUMBER = re.compile(r"%(0?)(\d?)d")


def path_beside(path: str, name: str) -> str:
    """The path of a file in the folder, or the archive, of ``path``."""
    folder, separator, _ = path.rpartition("/")
    return f"{folder}{separator}{name}"


def companion_data(blob: Blob, *names: str) -> bytes:
    """The bytes of the file beside ``blob`` that has the first of these names that is there.

    Raises:
        ReadError: a name leaves the folder, or there is no such file.
    """
    for name in names:
        plain = name[2:] if name.startswith("./") else name
        if not plain or plain in (".", "..") or len(plain) > _MAX_NAME or any(sign in plain for sign in "/\\\0"):
            raise ReadError("names a data file by a path that leaves its folder", error_class="path_escape")
        if blob.beside is None:
            continue
        try:
            return blob.beside(plain).read()
        except ReadError as error:
            if error.error_class == "too_large":
                raise
    raise ReadError("its data are in a file of their own, which is not beside it", error_class="no_data_file")


def numbered_names(pattern: str, numbers: Sequence[int]) -> list[str]:
    """Names of numbered files: ``name%03d.raw`` with first, last and step.

    Raises:
        ReadError: no such pattern, or more files than allowed.
    """
    places = _NUMBER.findall(pattern)
    if len(places) != 1 or pattern.count("%") != 1 or not 2 <= len(numbers) <= 3:
        raise ReadError("its pattern of data files is not read", error_class="unsupported")
    first, last, step = (*numbers, 1)[:3]
    if step == 0:
        raise ReadError("its pattern of data files is damaged", error_class="damaged_header")
    found = range(first, last + (1 if step > 0 else -1), step)
    if not 1 <= len(found) <= MAX_FRAMES:
        raise ReadError(f"names {len(found)} data files; 1 to {MAX_FRAMES} are read", error_class="too_large")
    return [pattern % number for number in found]
