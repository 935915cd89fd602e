import pytest
import torch
from torch.testing import assert_close

from withstand.errors import InputError
from withstand.functional.losses import loss_per_sample

OUTPUTS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 3, 0, 1])


def test_cross_entropy_is_minus_the_log_probability():
    wanted = -OUTPUTS.softmax(1)[torch.arange(6), Y].log()
    assert_close(loss_per_sample(OUTPUTS, Y), wanted)


def test_binary_cross_entropy_adds_up_the_classes():
    probability = OUTPUTS.sigmoid()
    own = torch.zeros(6, 4, dtype=torch.bool)
    own[torch.arange(6), Y] = True
    wanted = -torch.where(own, probability, 1 - probability).log().sum(1)
    assert_close(loss_per_sample(OUTPUTS, Y, "binary_cross_entropy"), wanted)


def test_hinge_counts_what_is_missing_to_a_lead_of_one():
    outputs = torch.tensor([[3.0, 1.0, 0.0], [1.0, 0.75, 0.0], [0.0, 2.0, 0.0]])
    losses = loss_per_sample(outputs, torch.zeros(3, dtype=torch.int64), "hinge")
    assert losses.tolist() == [0.0, 0.75, 3.0]


def test_squared_error_is_half_the_square():
    losses = loss_per_sample(torch.tensor([[1.0], [2.0]]), torch.tensor([4.0, 2.0]), "squared_error")
    assert losses.tolist() == [4.5, 0.0]


def test_losses_of_half_precision_are_computed_in_32_bits():
    assert loss_per_sample(OUTPUTS.half(), Y).dtype == torch.float32
    assert loss_per_sample(OUTPUTS.double(), Y, "hinge").dtype == torch.float64


def test_the_squared_error_of_several_outputs_is_refused():
    with pytest.raises(InputError, match="squared_error: the model must have one output, got 2"):
        loss_per_sample(torch.zeros(3, 2), torch.zeros(3), "squared_error")
