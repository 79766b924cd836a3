"""Volumes as OME-Zarr: written once, read by crop.

The bytes are written and read here and not by zarr-python: they must be the same whatever versions are installed, the
loader reads inner chunks by byte range through any storage, and medshard supports Pythons that zarr 3 does not.
"""

from medshard.volumes.native import Mapping
from medshard.volumes.read import VolumeReader
from medshard.volumes.write import VolumeEntry, write_volume

__all__ = ["Mapping", "VolumeEntry", "VolumeReader", "write_volume"]
