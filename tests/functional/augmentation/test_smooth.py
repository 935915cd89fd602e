import numpy as np
import pytest
import torch

from withstand.functional.augmentation.smooth import displaced, filtered, mode_stds, modes, recoloured, smooth_field


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_filters_equal_correlations_by_scipy():
    from scipy.ndimage import correlate

    x, kernels = rand(4, 3, 7, 9), randn(4, 3, 3)
    ours = filtered(x, kernels)
    for image, kernel, own in zip(x.numpy(), kernels.numpy(), ours.numpy(), strict=True):
        for plane, filtered_plane in zip(image, own, strict=True):
            assert filtered_plane == pytest.approx(correlate(plane, kernel, mode="constant"), abs=1e-5)


@pytest.mark.parametrize("most", [1, 20, 100])
def test_colours_equal_the_sum_of_sines(most):
    x, coefficients = rand(9, 3, 8, 5), 0.1 * randn(9, 3, most)
    x[0], x[1] = 0, 1
    first = torch.tensor([1, 1, 1, 1, 480, 37, 2, 1, 1])
    terms = torch.tensor([1, most, 1, most, most, (most + 1) // 2, 1, most, most])
    ours = recoloured(x, coefficients, first, terms)
    for row in range(9):
        k = first[row].item() + np.arange(terms[row].item())
        values = x[row].double().numpy()
        waves = np.sin(np.pi * values[..., None] * k)
        expected = values + np.einsum("ck,chwk->chw", coefficients[row, :, : terms[row]].double().numpy(), waves)
        assert ours[row].numpy() == pytest.approx(expected, abs=3e-4)


def test_displaced_images_equal_linear_interpolation_with_clamped_places():
    x, field = rand(3, 2, 6, 8), 3 * randn(3, 2, 6, 8)
    ours = displaced(x, field)
    for image, (dx, dy), own in zip(x.numpy(), field.numpy(), ours.numpy(), strict=True):
        columns, rows = np.clip(np.arange(8) - dx, 0, 7), np.clip(np.arange(6)[:, None] - dy, 0, 5)
        left, top = np.floor(columns).astype(int), np.floor(rows).astype(int)
        right, bottom = np.minimum(left + 1, 7), np.minimum(top + 1, 5)
        u, v = columns - left, rows - top
        upper = (1 - u) * image[:, top, left] + u * image[:, top, right]
        lower = (1 - u) * image[:, bottom, left] + u * image[:, bottom, right]
        assert own == pytest.approx((1 - v) * upper + v * lower, abs=1e-5)


def test_fields_equal_the_sum_over_their_modes():
    coefficients = randn(2, 5, 4)
    y, x = np.linspace(0, 1, 9), np.linspace(0, 1, 7)
    ours = smooth_field(coefficients, 9, 7)
    for each, own in zip(coefficients.numpy(), ours.numpy(), strict=True):
        expected = sum(
            each[i - 1, j - 1] * np.sin(np.pi * i * y)[:, None] * np.sin(np.pi * j * x)
            for i in range(1, 6)
            for j in range(1, 5)
        )
        assert own == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("height", "width", "cut"), [(8, 8, 3), (8, 8, 20), (6, 9, 30), (5, 1, 4), (2, 2, 3)])
def test_folded_frequencies_leave_the_covariance_of_a_field_unchanged(height, width, cut):
    """The variance of every pixel, and its covariance with the next, from all frequencies without folding."""
    stds = mode_stds(height, width, 40, cut).double().numpy()
    assert stds.shape == modes(height, width, 40)
    y, x = np.arange(height) / max(height - 1, 1), np.arange(width) / max(width - 1, 1)

    def covariance(variances):
        i, j = np.arange(1, variances.shape[0] + 1), np.arange(1, variances.shape[1] + 1)
        rows, columns = np.sin(np.pi * y[:, None] * i), np.sin(np.pi * x[:, None] * j)
        return np.einsum("ij,yi,zi,xj,wj->yzxw", variances, rows, rows, columns, columns)

    r = np.hypot(*np.meshgrid(np.arange(1, cut + 1), np.arange(1, cut + 1), indexing="ij"))
    assert covariance(stds**2) == pytest.approx(covariance((r < cut + 0.5) / r**2), abs=1e-6)
