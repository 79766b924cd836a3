from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

JOB_BYTES: int

def crc32c(data: object, value: int = 0) -> int: ...
def features() -> dict[str, Any]: ...
def read_header(data: object) -> dict[str, Any]: ...
def decode_image(data: object, reduce: int, max_pixels: int) -> NDArray[Any]: ...
def encode_png(array: NDArray[Any], level: int) -> bytes: ...

class Engine:
    def __init__(self, threads: int) -> None: ...
    @property
    def threads(self) -> int: ...
    def run(
        self,
        jobs: NDArray[Any],
        out: int,
        channels: int,
        type: int,
        channels_last: bool,
        nearest: bool,
        clamp: bool,
        reduce: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        max_pixels: int,
        filter: int,
        patches: tuple[int, int, int],
    ) -> dict[int, str]: ...
