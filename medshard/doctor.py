"""What an installation can do."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from medshard import __version__

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        found: whether it is there.
        needed: whether medshard cannot do its work without it.
        install: the line that installs it.
    """

    name: str
    found: bool
    needed: bool
    detail: str
    install: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for ``--json``."""
        return asdict(self)


_PACKAGES = (
    ("pyarrow", "pyarrow", True, ""),
    ("duckdb", "duckdb", True, ""),
    ("pydicom", "pydicom", True, ""),
    ("nibabel", "nibabel", True, ""),
    ("Pillow", "PIL", True, ""),
    ("pylibjpeg-libjpeg", "libjpeg", False, "pip install pylibjpeg-libjpeg  (JPEG in DICOM beside the native codecs)"),
    (
        "pylibjpeg-openjpeg",
        "openjpeg",
        False,
        "pip install pylibjpeg-openjpeg  (JPEG 2000 in DICOM beside the native codec)",
    ),
    ("imagecodecs", "imagecodecs", False, "pip install 'medshard[jxl]'  (JPEG XL files)"),
    ("tifffile", "tifffile", False, "pip install 'medshard[tiff]'  (TIFF in colour with 16 bits a channel)"),
    ("zarr", "zarr", False, "pip install 'medshard[zarr]'  (OME-Zarr and Zarr as a source)"),
    ("torch", "torch", False, "pip install 'medshard[torch]'  (the loader)"),
    ("obstore", "obstore", False, "pip install 'medshard[s3]'  (corpora in S3)"),
    ("openpyxl", "openpyxl", False, "pip install 'medshard[xlsx]'  (Excel sources)"),
)

_OPTIONAL_CODECS = (
    ("jpeg-ls", "JPEG-LS in DICOM", "libcharls-dev", "pylibjpeg-libjpeg", "libjpeg"),
    ("jpeg-2000", "JPEG 2000 in DICOM", "libopenjp2-7-dev", "pylibjpeg-openjpeg", "openjpeg"),
    ("htj2k", "HTJ2K in DICOM", "libopenjp2-7-dev of 2.5 or newer", "pylibjpeg-openjpeg", "openjpeg"),
)
"""Of the engine: its name, what it decodes, the system package, and the Python plug-in that stands in for it."""


def examine() -> list[Finding]:
    """The interpreter, the native engine with its codecs, and the packages."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    findings = [
        Finding(
            "medshard",
            True,
            True,
            f"{__version__}, Python {python}, {platform.system()} {platform.machine()}",
        )
    ]
    findings += _engine()
    for name, module, needed, install in _PACKAGES:
        findings.append(_package(name, module, needed=needed, install=install))
    return findings


def _engine() -> list[Finding]:
    try:
        from medshard.engine import features
    except ImportError as error:
        line = "pip install -e .  (needs cmake, a C++17 compiler, libjpeg-turbo, libdeflate and zlib: see make setup)"
        return [Finding("native engine", False, True, f"cannot be loaded: {error}", line)]
    told = features()
    codecs = ", ".join(f"{name} {number}" for name, number in sorted(told["codecs"].items()))
    simd = f"{told['simd']} of {', '.join(told['simd_levels'])}"
    found = [
        Finding("native engine", True, True, f"built with {told['compiler']}; SIMD {simd}"),
        Finding("codecs", True, True, codecs),
        *(_codec(told["dicom"], *names) for names in _OPTIONAL_CODECS),
    ]
    cuda = bool(told.get("cuda"))
    return [
        *found,
        Finding("CUDA", cuda, False, "built" if cuda else "not built: everything runs on the CPU"),
    ]


def _codec(built: dict[str, bool], name: str, title: str, package: str, plugin: str, module: str) -> Finding:
    if built[name]:
        return Finding(title, True, False, "native")
    try:
        import_module(module)
        detail = f"not built in; decoded by the Python plug-in {plugin}"
    except ImportError:
        detail = f"not built in, and {plugin} is not installed: such files are quarantined"
    return Finding(title, False, False, detail, f"apt-get install {package}; pip install -e .")


def _package(name: str, module: str, *, needed: bool, install: str) -> Finding:
    try:
        import_module(module)
        return Finding(name, True, needed, version(name))
    except (ImportError, PackageNotFoundError):
        return Finding(name, False, needed, "is not installed", install or f"pip install {name}")
