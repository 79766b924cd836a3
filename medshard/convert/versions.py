"""Versions that decide the bytes of a corpus; they are part of every build's digest."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from medshard import __version__
from medshard.corpus.manifest import FORMAT_VERSION
from medshard.engine import PNG_LEVEL, STRIP_ROWS, features
from medshard.tasks.write import template_versions
from medshard.volumes.foreground import FOREGROUND_VERSION

__all__ = ["writer_versions"]

_DECIDING = (
    "pydicom",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "imagecodecs",
    "tifffile",
    "nibabel",
    "zarr",
    "numcodecs",
    "pillow",
    "pyarrow",
    "duckdb",
    "numpy",
)


def writer_versions() -> dict[str, str]:
    """Name → version of every package and codec whose change may change bytes."""
    found = {"medshard": __version__, "format": str(FORMAT_VERSION)}
    found["foreground"] = str(FOREGROUND_VERSION)
    found["png"] = f"level {PNG_LEVEL}, strips of {STRIP_ROWS} rows"
    for name in _DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    found.update({f"codec {name}": str(value) for name, value in sorted(features()["codecs"].items())})
    found.update({f"templates {name}": str(number) for name, number in sorted(template_versions().items())})
    return found
