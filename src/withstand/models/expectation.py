"""Models whose answers are random, as the mean over several draws."""

import torch
from torch import Tensor, nn

NUM_DRAWS = 20


class Expectation(nn.Module):
    """The logarithm of the mean probabilities of a model over draws with fixed seeds of PyTorch's global generators.

    The generators' states are restored. What a row gets depends on its place in the batch.

    Source:
        Expectation over transformation: Athalye, Engstrom, Ilyas, Kwok 2018, arXiv 1707.07397.
    """

    def __init__(self, model: nn.Module, *, num_draws: int = NUM_DRAWS) -> None:
        """Keep a model that maps inputs to logits, and the number of draws."""
        super().__init__()
        self.model, self.num_draws = model, num_draws

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities."""
        on_gpu = x.device.type == "cuda"
        with torch.random.fork_rng(devices=[x.device] if on_gpu else []):
            found = []
            for number in range(self.num_draws):
                torch.default_generator.manual_seed(number)
                if on_gpu:
                    with torch.cuda.device(x.device):
                        torch.cuda.manual_seed(number)
                found.append(self.model(x).log_softmax(1))
        return torch.stack(found).logsumexp(0) - torch.tensor(float(self.num_draws)).log().item()
