import numpy as np
import pytest
import torch

from withstand.functional.kernels.borders import fold

NUMPY_NAMES = {"nearest": "edge", "reflect": "symmetric", "mirror": "reflect"}


@pytest.mark.parametrize("border", NUMPY_NAMES)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_places_far_beyond_the_row_stand_for_what_numpy_pads_with(border, size):
    padded = np.pad(np.arange(size), 20, mode=NUMPY_NAMES[border])
    assert fold(torch.arange(-20, size + 20), size, border).tolist() == padded.tolist()
