"""Thinning of binary edge maps, and non-maximum suppression of soft edge maps.

:func:`thin` is the parallel thinning of Guo and Hall (CACM 1989), with the conditions by which MATLAB's documentation
defines ``bwmorph(..., 'thin', Inf)`` (after Lam, Lee and Suen, PAMI 1992, page 879). It equals scikit-image's ``thin``
pixel by pixel, takes a ninth of the time (OpenCV packs the eight neighbours of a pixel into one byte) and needs no
further dependency (``cv2.ximgproc`` is not in the headless wheel). :func:`suppress_non_maxima` does what Dollar and
Zitnick (Fast Edge Detection Using Structured Forests, PAMI 2015) do to a soft edge map before it is scored, except for
the direction across the edge (:func:`edge_normals`); docs/evaluation.md says what that changes.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from repvit_sam.masks import Mask

# bit k is the k-th neighbour, counted from the east towards the north
_BITS = np.array([[8, 4, 2], [16, 0, 1], [32, 64, 128]], dtype=np.uint8)


def thin(mask: Mask) -> Mask:
    """(H, W) bool -> lines one pixel wide, connected as before: ``bwmorph(mask, 'thin', Inf)``."""
    image = np.asarray(mask).astype(np.uint8)
    first, second = _removable()
    while True:
        before = image
        for table in (first, second):
            neighbours = cv2.filter2D(image, -1, _BITS, borderType=cv2.BORDER_CONSTANT)
            image = image & ~np.asarray(cv2.LUT(neighbours, table), dtype=np.uint8)
        if np.array_equal(image, before):
            return image.astype(bool)


@cache
def _removable() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For each of the 256 neighbourhoods, 1 if the central pixel is removed; one table for each half-step."""
    x = (np.arange(256) >> np.arange(8)[:, None] & 1).astype(bool)  # x[0] is the eastern neighbour
    crossings = sum((~x[k] & (x[k + 1] | x[(k + 2) % 8])).astype(int) for k in (0, 2, 4, 6))
    odd = sum((x[k] | x[k + 1]).astype(int) for k in (0, 2, 4, 6))
    even = sum((x[k] | x[(k + 1) % 8]).astype(int) for k in (1, 3, 5, 7))
    fewer = np.minimum(odd, even)
    removable = (crossings == 1) & (fewer >= 2) & (fewer <= 3)
    east = ~((x[1] | x[2] | ~x[7]) & x[0])
    west = ~((x[5] | x[6] | ~x[3]) & x[4])
    return (removable & east).astype(np.uint8), (removable & west).astype(np.uint8)


def suppress_non_maxima(
    edges: NDArray[np.floating], radius: int = 1, border: int = 5, slack: float = 1.01, smoothing: int = 4
) -> NDArray[np.float32]:
    """Keep the values of a soft edge map (H, W) that are maxima across the edge, and set the others to 0.

    A pixel is set to 0 if ``slack`` times its value is below the map, linearly interpolated, at 1 ... ``radius`` pixels
    to either side across the edge (:func:`edge_normals`). Within ``border`` pixels of the photo's border, values fade
    linearly to 0: edges are less certain there. The defaults are those of the published edge benchmarks.
    """
    edges = np.ascontiguousarray(edges, dtype=np.float32)
    height, width = edges.shape
    across = edge_normals(edges, smoothing)
    rows, columns = np.mgrid[:height, :width]
    kept = edges.copy()
    for step in (*range(-radius, 0), *range(1, radius + 1)):
        positions = rows + step * np.sin(across), columns + step * np.cos(across)
        kept[edges * slack < map_coordinates(edges, positions, order=1, mode="nearest")] = 0
    if border:
        down, along = (np.minimum(np.arange(n), np.arange(n)[::-1]) / border for n in (height, width))
        kept *= np.outer(np.minimum(down, 1), np.minimum(along, 1)).astype(np.float32)
    return kept


def edge_normals(edges: NDArray[np.floating], smoothing: int = 4) -> NDArray[np.float32]:
    """Direction across the edge at each pixel of a soft edge map (H, W): angle from x towards y (down), radians.

    The direction of largest curvature of the map after smoothing with a triangle filter of ``smoothing`` pixels to each
    side: the eigenvector of its second derivatives whose eigenvalue has the larger absolute value. (Dollar's toolbox
    uses atan(-sign(Exy) Eyy / Exx), which on a straight line is up to 13 degrees off.)
    """
    triangle = np.arange(1, smoothing + 2, dtype=np.float32)
    triangle = np.concatenate([triangle, triangle[-2::-1]])
    triangle /= triangle.sum()
    edges = np.asarray(edges, dtype=np.float32)
    smooth = cv2.sepFilter2D(edges, -1, triangle, triangle, borderType=cv2.BORDER_REFLECT)
    dy, dx = np.gradient(smooth)
    dxy, dxx = np.gradient(dx)
    dyy = np.gradient(dy, axis=0)
    sign = np.where(dxx + dyy > 0, 1, -1)  # of the eigenvalue with the larger absolute value
    return np.asarray(np.arctan2(sign * 2 * dxy, sign * (dxx - dyy)) / 2, dtype=np.float32)
