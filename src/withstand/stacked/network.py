"""Stacked: several networks of equal shape as one module."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.errors import InputError


class Stacked(nn.Module):
    """Several networks of linear layers and ReLU as one module.

    Row i of a batch goes through network i modulo their number, so batches hold equally many rows for each, and the
    draws of several copies keep that order. Names of parameters are those of a single network; a first axis is added.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        """Copy the weights of models that `Model.build` made.

        Args:
            models: Models of the same shape, with the same normalisation; at least one.

        Raises:
            InputError: If a layer is neither linear, ReLU nor Flatten.
        """
        super().__init__()
        self.num_networks = len(models)
        self.normalize = models[0].get_submodule("normalize")
        networks = [each.get_submodule("network") for each in models]
        layers: list[nn.Module] = []
        for number, layer in enumerate(networks[0].children()):
            if isinstance(layer, nn.Linear) and isinstance(networks[0], nn.Sequential):
                layers.append(StackedLinear([each.get_submodule(str(number)) for each in networks]))
            elif isinstance(layer, nn.ReLU):
                # The output of a linear layer is not needed for its gradient.
                layers.append(nn.ReLU(inplace=bool(layers) and isinstance(layers[-1], StackedLinear)))
            elif isinstance(layer, nn.Flatten):
                layers.append(nn.Identity())  # keeps the names; forward flattens
            else:
                raise InputError(
                    f"together: networks must be linear layers and ReLU in a row, as MLP is, got "
                    f"{type(layer).__name__}; train the seeds one by one."
                )
        self.network = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "row *feature"]) -> Float[Tensor, "row output"]:
        """Return the logits of every row by its own network."""
        flat = self.normalize(x).flatten(1)
        outputs = self.network(flat.view(-1, self.num_networks, flat.shape[1]).transpose(0, 1))
        return outputs.transpose(0, 1).reshape(len(x), -1)

    def state_of(self, number: int) -> dict[str, Any]:
        """Return the state dict that one network would have alone, as views of the stacked weights."""
        own = {name for name, _ in self.named_parameters()}
        return {name: each[number] if name in own else each for name, each in self.state_dict().items()}


class StackedLinear(nn.Module):
    """A linear layer per network."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        """Copy the layers' weights."""
        super().__init__()
        self.weight = nn.Parameter(torch.stack([each.get_parameter("weight").detach() for each in layers]))
        self.bias = nn.Parameter(torch.stack([each.get_parameter("bias").detach() for each in layers]))

    def forward(self, x: Float[Tensor, "network batch before"]) -> Float[Tensor, "network batch after"]:
        """Multiply every network's rows by its weights."""
        return Affine.apply(x, self.weight, self.bias)  # pyright: ignore[reportReturnType]


class Affine(torch.autograd.Function):
    """x W^T + b for each network.

    Computes the gradient in the layout of W. PyTorch computes that of W^T and copies it, which takes a fifth of a
    training step on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute the outputs."""
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Compute the requested gradients."""
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        return (
            gradient @ weight if by_x else None,
            gradient.mT @ x if by_weight else None,
            gradient.sum(1) if by_bias else None,
        )
