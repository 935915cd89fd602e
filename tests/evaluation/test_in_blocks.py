import json

import pytest
import torch
from torch import nn

from withstand.data.base import Section, TensorSplit
from withstand.engine import Engine
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.in_blocks import measure_in_blocks
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity

EVALUATION = Accuracy(perturbations=(Identity(), Gaussian(std=1.0)), top=(1, 2))
# Not sizes of a block: the last block is a part of one.
ENGINE = Engine(batch_size=3, checkpoint_seconds=0.0)


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn((50, 4), generator=generator), torch.randint(0, 4, (50,), generator=generator)
    return TensorSplit(x, y, classes=("a", "b", "c", "d"), box=None)


def whole(split):
    return list(EVALUATION.measure(nn.Identity(), split, seed=3, engine=ENGINE))


def test_blocks_give_the_rows_of_the_whole(split, tmp_path):
    told = []
    rows = measure_in_blocks(
        EVALUATION, nn.Identity(), split, seed=3, engine=ENGINE, keep=tmp_path / "kept.json", tell=told.append
    )
    assert rows == whole(split)
    assert told[:2] == [0, 32]
    assert told[-1] == 50


def test_what_was_done_before_a_stop_is_not_done_again(split, tmp_path):
    keep, seen = tmp_path / "kept.json", []

    class Stopped(Exception):
        pass

    def stop(done):
        if done >= 40:
            raise Stopped

    with pytest.raises(Stopped):
        measure_in_blocks(EVALUATION, nn.Identity(), split, seed=3, engine=ENGINE, keep=keep, tell=stop)
    kept = json.loads(keep.read_text())["samples"]
    assert kept == 40

    class Counting(nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return x

    rows = measure_in_blocks(
        EVALUATION, Counting(), split, seed=3, engine=Engine(batch_size=7, checkpoint_seconds=0.0), keep=keep
    )
    assert rows == whole(split)
    assert sum(seen) == 2 * (50 - kept)


def test_a_section_keeps_the_numbers_of_its_samples(split):
    batches = list(Section(split, 10, 13).batches([torch.tensor([0, 2])]))
    assert batches[0].number.tolist() == [10, 12]
    assert torch.equal(batches[0].x, split.x[[10, 12]])
