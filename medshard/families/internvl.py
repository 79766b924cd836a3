"""InternVL 2.5 and 3: a grid of tiles of the closest shape, and a thumbnail.

Source: transformers, ``models/got_ocr2/image_processing_got_ocr2.py`` (``get_optimal_tiled_canvas``,
``crop_image_to_patches``) with ``crop_to_patches`` as ``InternVLProcessor`` sets it; InternVL 1.5, arXiv 2404.16821,
section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from medshard.engine import Patches
from medshard.families.image_rule import IMAGENET_MEAN, IMAGENET_STD, View
from medshard.families.vision import VisionFamily

__all__ = ["INTERNVL", "TileRule"]


@dataclass(frozen=True)
class TileRule:
    """``pixel_values`` (N, 3, 448, 448): tiles row by row, then the thumbnail where there is more than one tile.

    Args:
        min_tiles, max_tiles: of the grid, without the thumbnail.
        tokens_a_tile: after the pixel shuffle: (448 / 14 / 2)².
    """

    min_tiles: int = 1
    max_tiles: int = 12
    tokens_a_tile: int = 256
    patches: Patches = Patches(448)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    filter: Literal["bilinear", "bicubic"] = "bicubic"
    square: bool = True
    marker: str = "<IMG_CONTEXT>"

    def __post_init__(self) -> None:
        if not 1 <= self.min_tiles <= self.max_tiles:
            raise ValueError(f"min_tiles is at least 1 and at most max_tiles; found {self}")

    @cached_property
    def _grids(self) -> list[tuple[int, int]]:
        """(across, down), fewest tiles first; of as many, the narrower first."""
        lengths = range(1, self.max_tiles + 1)
        grids = [(across, down) for across in lengths for down in lengths]
        return sorted(
            (grid for grid in grids if self.min_tiles <= grid[0] * grid[1] <= self.max_tiles),
            key=lambda grid: grid[0] * grid[1],
        )

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(down, across): the shape nearest to the picture's; of equal ones the larger while the picture can fill half
        of it."""
        shape, area = width / height, width * height
        nearest, best = float("inf"), (1, 1)
        for across, down in self._grids:
            distance = abs(shape - across / down)
            fills_half = area > 0.5 * self.patches.edge**2 * across * down
            if distance < nearest or (distance == nearest and fills_half):
                nearest, best = distance, (down, across)
        return best

    def views(self, height: int, width: int) -> tuple[View, ...]:
        """The grid, and the thumbnail."""
        down, across = self.grid(height, width)
        edge = self.patches.edge
        tiles = View.full(down * edge, across * edge)
        return (tiles,) if down * across == 1 else (tiles, View.full(edge, edge))

    def main(self, views: tuple[View, ...]) -> View:
        """The grid."""
        return views[0]

    def tile_count(self, height: int, width: int) -> int:
        """Tiles with the thumbnail."""
        down, across = self.grid(height, width)
        return 1 if down * across == 1 else down * across + 1

    def token_count(self, height: int, width: int) -> int:
        """As many a tile."""
        return self.tile_count(height, width) * self.tokens_a_tile

    def expanded(self, tokens: int) -> str:
        """Placeholders between a begin and an end."""
        return f"<img>{'<IMG_CONTEXT>' * tokens}</img>"

    def columns(self, height: int, width: int) -> dict[str, list[int]]:
        """``tiles``: of each picture."""
        return {"tiles": [self.tile_count(height, width)]}


INTERNVL = VisionFamily("internvl", TileRule())
