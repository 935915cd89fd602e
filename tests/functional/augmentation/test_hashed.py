import torch
from scipy import stats

from withstand.functional.augmentation.hashed import normals, uniforms

MASK = (1 << 64) - 1


def splitmix(seed, number):
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_uniform_numbers_are_the_ends_of_splitmix_outputs():
    seeds = [0, 5, 2**62 - 1]
    drawn = uniforms(torch.tensor(seeds), 5).double() * 2**24
    for row, seed in zip(drawn.tolist(), seeds, strict=True):
        outputs = [splitmix(seed, number) for number in range(3)]
        assert row == [*(z >> 40 for z in outputs), *(z & (2**24 - 1) for z in outputs[:2])]


def test_numbers_follow_their_distributions_within_and_across_seeds():
    seeds = torch.arange(300)
    for drawn in (uniforms(seeds, 301), uniforms(seeds * 8 + 2**61, 301)):
        assert stats.kstest(drawn.flatten().double().numpy(), "uniform").pvalue > 0.01
        assert drawn[1:].flatten().sub(0.5).dot(drawn[:-1].flatten().sub(0.5)).abs() < 5 * 300 / 12
    z = normals(seeds, 301)
    assert stats.kstest(z.flatten().double().numpy(), "norm").pvalue > 0.01
    assert torch.corrcoef(z.T[:20]).fill_diagonal_(0).abs().max() < 0.3
    assert z.abs().max() < 5.8


def test_a_row_does_not_depend_on_the_others():
    seeds = torch.tensor([7, 2**40, 3])
    assert torch.equal(normals(seeds[1:2], 9), normals(seeds, 9)[1:2])
