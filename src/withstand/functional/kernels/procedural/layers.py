"""The topmost mark of every pixel, where lines and shapes are drawn one over the other."""

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from withstand.functional.tensors import Images


class Layers:
    """The number of the last mark on every pixel of a batch of images; marks outside of an image are dropped."""

    def __init__(self, batch: int, height: int, width: int, *, device: torch.device) -> None:
        """Start without marks."""
        self.batch, self.height, self.width = batch, height, width
        self.top = torch.full((batch * height * width + 1,), -1, device=device)

    def mark(
        self,
        image: Int[Tensor, " mark"],
        row: Int[Tensor, " mark"],
        column: Int[Tensor, " mark"],
        number: Int[Tensor, " mark"],
    ) -> None:
        """Mark pixels, in any order; the mark with the highest number is on top.

        Args:
            image: Index of each mark's image in the batch.
            row: Its row.
            column: Its column.
            number: Its number, at least 0.
        """
        inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
        place = (image * self.height + row) * self.width + column
        self.top.scatter_reduce_(0, place.where(inside, len(self.top) - 1), number, "amax")

    def paint(self, x: Images, colours: Shaped[Tensor, "batch number channel"]) -> Images:
        """Return images with the colour of the last mark on each pixel, where there is one."""
        top = self.top[:-1].view(self.batch, 1, -1)
        chosen = colours.to(x).mT.gather(2, top.clamp(min=0).expand(-1, x.shape[1], -1))
        return torch.where(top >= 0, chosen, x.flatten(2)).view(x.shape)


def mark_lines(layers: Layers, ends: Int[Tensor, "batch line 2 2"]) -> None:
    """Mark lines that are one pixel wide, both ends included, by their numbers.

    Args:
        layers: Where they are marked.
        ends: First and last pixel of each line, as row and column.

    Source:
        Pillow, src/libImaging/Draw.c, `line32`: Bresenham's algorithm, half-way cases towards the end of the line.
        Differs: one step of all lines at once. After m steps along its longer side l, a line has made
        floor((2 s m + l) / (2 l)) along its shorter side s.

    Example:
        >>> layers = Layers(1, 2, 4, device=torch.device("cpu"))
        >>> mark_lines(layers, torch.tensor([[[[0, 0], [1, 3]]]]))
        >>> layers.top[:-1].view(2, 4)
        tensor([[ 0,  0, -1, -1],
                [-1, -1,  0,  0]])
    """
    image, number = (torch.arange(size, device=ends.device) for size in ends.shape[:2])
    image, number = image.repeat_interleave(ends.shape[1]), number.repeat(len(ends))
    start, stop = ends.flatten(0, 1).unbind(1)
    sides, signs = (stop - start).abs(), (stop - start).sign()
    long, short = sides.amax(1), sides.amin(1)
    falls = sides[:, 0] >= sides[:, 1]
    for step in range(int(long.max()) + 1 if len(long) else 0):
        kept = (long >= step).nonzero()[:, 0]
        image, number, start, signs, long, short, falls = (
            each[kept] for each in (image, number, start, signs, long, short, falls)
        )
        minor = (2 * short * step + long) // (2 * long).clamp(min=1)
        down, across = torch.where(falls, step, minor), torch.where(falls, minor, step)
        layers.mark(image, start[:, 0] + signs[:, 0] * down, start[:, 1] + signs[:, 1] * across, number)
