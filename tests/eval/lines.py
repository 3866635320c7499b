"""Lines to be found by an edge detector."""

import numpy as np

HW = (60, 80)  # diagonal 100: 0.0075 would be 0.75 pixels, 0.03 is 3
TOLERANCE = 0.03


def column(x, value=True, rows=slice(10, 50)):
    """A line of 40 pixels."""
    mask = np.zeros(HW, type(value))
    mask[rows, x] = value
    return mask
