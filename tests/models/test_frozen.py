"""Evaluation mode and frozen parameters, restored at the end."""

import pytest
import torch
from torch import nn

from withstand.models.frozen import evaluating, frozen


@pytest.mark.parametrize("context", [evaluating, frozen])
@pytest.mark.parametrize("trains", [(True, True, True), (True, False, True), (False, False, False)])
def test_every_part_gets_its_mode_and_its_gradients_back(context, trains):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model[0].bias.requires_grad_(False)
    for part, training in zip(model.modules(), trains, strict=True):
        part.training = training
    with context(model):
        assert not any(part.training for part in model.modules())
        assert model[0].weight.requires_grad == (context is evaluating)
        model.train()  # as a model's own code may do
        model(torch.zeros(1, 2))
    assert tuple(part.training for part in model.modules()) == trains
    assert [each.requires_grad for each in model.parameters()] == [True, False]
