"""Re-estimation of the statistics of batch normalisation."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def reestimate(model: nn.Module, passes: Iterable[Callable[[], object]]) -> None:
    """Replace the running statistics by the means of those of every pass, and leave the model in training mode.

    During a pass, evaluation mode still has the old statistics, which attacks need.

    Args:
        model: Its running statistics are replaced, if it has any.
        passes: Each runs the model in training mode on a batch.

    Source:
        Izmailov, Podoprikhin, Garipov, Vetrov, Wilson 2018, arXiv 1803.05407, section 3.2; torch.optim.swa_utils,
        update_bn, which resets the old statistics first.
    """
    model.train()
    norms = [each for each in model.modules() if isinstance(each, _BatchNorm) and each.running_mean is not None]
    if not norms:
        return
    momenta = [each.momentum for each in norms]
    counts = [each.num_batches_tracked for each in norms if each.num_batches_tracked is not None]
    statistics = [buffer for each in norms for buffer in (each.running_mean, each.running_var) if buffer is not None]
    before, sums, count = [each.clone() for each in statistics], [torch.zeros_like(each) for each in statistics], 0
    try:
        for each in norms:
            each.momentum = None  # the mean over the calls since the count was 0
        for run in passes:
            for each in counts:
                each.zero_()
            run()
            count += 1
            for total, own, old in zip(sums, statistics, before, strict=True):
                total += own
                own.copy_(old)
    finally:
        for each, momentum in zip(norms, momenta, strict=True):
            each.momentum = momentum
    for total, own in zip(sums, statistics, strict=True):
        own.copy_(total / max(1, count))
    for each in counts:
        each.fill_(count)
