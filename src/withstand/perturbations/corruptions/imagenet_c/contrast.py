"""Contrast of ImageNet-C."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class Contrast(Corruption):
    """Reduce contrast: clip((x - m) c + m), with m the mean of each channel.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `contrast`; c is `tables`, a factor.
    """

    tables: ClassVar = {
        224: (0.4, 0.3, 0.2, 0.1, 0.05),
        299: (0.4, 0.3, 0.2, 0.1, 0.05),
        64: (0.4, 0.3, 0.2, 0.1, 0.05),
        32: (0.75, 0.5, 0.4, 0.3, 0.15),
    }

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Scale around the mean."""
        # Whole numbers have the same sum in any order: neither the batch nor the device changes the mean.
        total = (x * 2.0**24).round_().flatten(2).sum(2, dtype=torch.int64)[..., None, None]
        mean = (total.float() / (x.shape[-2] * x.shape[-1] * 2.0**24)).to(x.dtype)
        return (x - mean).mul_(self.published(*x.shape[-2:])).add_(mean).clamp_(0, 1)
