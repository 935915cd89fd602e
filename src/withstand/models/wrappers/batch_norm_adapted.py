"""A model whose batch normalisation adapts to the inputs of each batch."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from withstand.errors import InputError
from withstand.limits import NonNegativeFloat, PositiveInt, checked


class BatchNormAdapted(nn.Module):
    r"""A model that mixes the statistics of its batch normalisation with those of each batch of inputs.

    .. math:: \mu = \frac{N}{N + n} \mu_{train} + \frac{n}{N + n} \mu_{batch}

    and the same for the variance; n is the number of samples in the batch. Predictions depend on the other samples of
    the batch, so `evaluate` takes all test samples in random order and in batches of `batch_size`; only clean inputs,
    corruptions and noise can be measured. The name of the model in results ends with `-adapted`.

    Source:
        Schneider, Rusak, Eck, Bringmann, Brendel, Bethge: "Improving robustness against common corruptions by covariate
        shift adaptation", NeurIPS 2020, arXiv 2006.16971, section 3.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(1, eps=0.0, affine=False))
        >>> BatchNormAdapted(model, prior=0, batch_size=2).eval()(torch.tensor([[1.0], [5.0]]))
        tensor([[-1.],
                [ 1.]])
    """

    @checked
    def __init__(self, model: nn.Module, *, prior: NonNegativeFloat, batch_size: PositiveInt) -> None:
        """Wrap a model.

        Args:
            model: Has layers of batch normalisation with statistics of the training data.
            prior: N, at least 0: number of samples that these statistics count as; 0 uses those of the batch alone.
                The paper takes 16 for batches of 8 to 32.
            batch_size: n, the number of samples that `evaluate` puts into a batch.

        Raises:
            InputError: If the model has no such layer.
        """
        super().__init__()
        self.model, self.prior, self.batch_size = model, prior, batch_size
        if not any(True for _ in self._layers()):
            raise InputError(
                "BatchNormAdapted: expected a model with batch normalisation that keeps statistics, got "
                f"{type(model).__name__} without."
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for a batch."""
        with ExitStack() as stack:
            for each in self._layers():
                stack.enter_context(self._mixed(each))
            return self.model(x)

    def _layers(self) -> Iterator[_BatchNorm]:
        for each in self.model.modules():
            if isinstance(each, _BatchNorm) and each.running_mean is not None and each.running_var is not None:
                yield each

    @contextmanager
    def _mixed(self, layer: _BatchNorm) -> Iterator[None]:
        """Give a layer the mixed statistics of its inputs while it works."""
        mean, variance = layer.running_mean, layer.running_var

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            assert mean is not None
            assert variance is not None
            x = inputs[0].detach()
            own, spread = torch.zeros_like(mean), torch.zeros_like(variance)
            count, share = x.numel() / x.shape[1], len(x) / (self.prior + len(x))
            if count > 1:
                batch_norm(x, own, spread, training=True, momentum=1.0)  # stores the statistics, variances unbiased
            else:  # refused there: a row alone is its mean, without variance
                own.copy_(x.flatten())
            layer.running_mean = mean.lerp(own, share)
            layer.running_var = variance.lerp(spread * ((count - 1) / count), share)

        handle = layer.register_forward_pre_hook(before)
        try:
            yield
        finally:
            handle.remove()
            layer.running_mean, layer.running_var = mean, variance
