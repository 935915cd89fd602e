"""Types of the tensors in signatures."""

import torch
from jaxtyping import Float, Int, Real, UInt8
from torch import Tensor

Points = Float[Tensor, "batch *feature"]
Images = Float[Tensor, "batch channel height width"]
Levels = UInt8[Tensor, "batch channel height width"]  # images in whole levels from 0 to 255
Labels = Int[Tensor, " batch"]
Targets = Real[Tensor, " batch"]  # labels, or the numbers of a regression
PerRow = Float[Tensor, " batch"]
Device = torch.device | str
