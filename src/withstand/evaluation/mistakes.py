"""Which classes and which samples a model gets wrong, on the very inputs that accuracies are measured on."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import rank
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.base import Perturbation
from withstand.perturbations.identity import Identity
from withstand.study.condition import CLEAN, parse_cell
from withstand.study.mistakes import ConditionMistakes, Mistake, Mistakes

NUM_WORST = 4  # mistakes that are shown per condition
LONGEST_SIDE = 64  # pixels of a thumbnail
DIGITS = 4  # of a confidence: what lies below differs with the size of the batches


def shown_perturbations(perturbations: Sequence[Perturbation]) -> tuple[Perturbation, ...]:
    """Return the conditions whose mistakes are worth a look: clean, and each corruption at its highest severity.

    Args:
        perturbations: That were measured.

    Returns:
        Clean inputs first, then the others in their order; of corruptions the highest severity only.

    Example:
        >>> from withstand.perturbations.corruptions.fog import Fog
        >>> fogs = [Fog(severity=each) for each in (1, 3)]
        >>> [each.condition for each in shown_perturbations(fogs)]
        ['clean', 'fog/3']
    """
    highest: dict[str, Perturbation] = {CLEAN: Identity()}
    for each in perturbations:
        cell = parse_cell(each.condition)
        name = each.condition if cell is None else each.condition.rpartition("/")[0]
        known = parse_cell(highest[name].condition) if name in highest else None
        if cell is None or known is None or cell.severity > known.severity:
            highest[name] = each
    return tuple(highest.values())


@torch.no_grad()
def find_mistakes(
    model: nn.Module,
    split: Split,
    perturbations: Sequence[Perturbation],
    *,
    data: str,
    num_worst: int = NUM_WORST,
    seed: int,
    engine: Engine,
    tell: Callable[[int], None] = lambda _: None,
) -> Mistakes:
    """Return the accuracy of every class, and the mistakes with the highest confidence, under each condition.

    Every sample meets the draw that it meets in `Accuracy` with the same seed, so that the hits add up to its top-1
    rows. The model, its mode and global generators stay as they are. Several processes share the samples; each returns
    the same.

    Args:
        model: Maps inputs to logits; on the engine's device.
        split: The samples; at least one.
        perturbations: The conditions, settled by the split.
        data: Name of the data set.
        num_worst: How many mistakes are kept per condition, at least 0.
        seed: Of the measurement.
        engine: Device, processes and batch size.
        tell: Is told the number of samples done after every batch.

    Raises:
        InputError: If there are no conditions, or one twice.
    """
    names = [each.condition for each in perturbations]
    if not names or len(set(names)) < len(names):
        raise InputError(f"mistakes: perturbations must differ from each other and be at least one, got {names}.")
    seeds = [derive_seed(seed, each.noise) for each in perturbations]
    hits = torch.zeros(len(names), len(split.classes), dtype=torch.int64, device=engine.device)
    sizes = torch.zeros(len(split.classes), dtype=torch.int64, device=engine.device)
    worst = [_Worst(num_worst, split.shape, engine) for _ in names]
    pictured = has_thumbnails(split.shape)
    examples = torch.zeros(len(names), *thumbnail_shape(split.shape), dtype=torch.int64, device=engine.device)
    plan = torch.arange(engine.rank, len(split), engine.world_size).split(engine.samples_per_batch(split.shape))
    seen = 0
    with evaluating(model):
        for x, y, index in split.batches(plan, device=engine.device, num_workers=engine.num_workers):
            if len(y) == 0:
                continue
            sizes += y.bincount(minlength=len(sizes))
            for k, perturbation in enumerate(perturbations):
                rng = RowStreams(seeds[k], index, device=engine.device)
                moved = perturbation.draw(x, y, model, num_draws=1, rng=rng).inputs[0]
                logits = model(moved)
                right = rank(logits[None], y)[0] == 0
                hits[k] += y[right].bincount(minlength=len(sizes))
                worst[k].add(moved, logits, y, index, right)
                # The first sample is the first process's.
                if pictured and seen == 0 and engine.is_first:
                    examples[k] = thumbnails(moved[:1])[0].long()
            seen += len(y)
            tell(min(len(split), seen * engine.world_size))
    all_hits, all_sizes, pictures = (engine.add_up(each).cpu().numpy() for each in (hits, sizes, examples))
    conditions = tuple(
        ConditionMistakes(
            condition=name,
            hits=all_hits[k],
            sizes=all_sizes,
            worst=worst[k].of_all_processes(),
            example=pictures[k].astype(np.uint8) if pictured else None,
        )
        for k, name in enumerate(names)
    )
    return Mistakes(data=data, seed=seed, classes=tuple(split.classes), conditions=conditions)


def has_thumbnails(shape: tuple[int, ...]) -> bool:
    """Return whether inputs of a shape are images of 1 or 3 channels."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnail_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape (height, width, channel) of a thumbnail of inputs of a shape; nothing for no images.

    Example:
        >>> thumbnail_shape((3, 224, 448)), thumbnail_shape((1, 28, 28)), thumbnail_shape((10,))
        ((32, 64, 3), (28, 28, 1), ())
    """
    if not has_thumbnails(shape):
        return ()
    scale = min(1.0, LONGEST_SIDE / max(shape[1:]))
    return (max(1, round(scale * shape[1])), max(1, round(scale * shape[2])), shape[0])


def thumbnails(x: Float[Tensor, "batch channel height width"]) -> UInt8[Tensor, "batch rows columns channel"]:
    """Return small copies of images in [0, 1], 0 to 255, with the channels last."""
    rows, columns, _ = thumbnail_shape(tuple(x.shape[1:]))
    if (rows, columns) != tuple(x.shape[2:]):
        x = nn.functional.interpolate(x, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
    return (255 * x.clamp(0, 1)).round().to(torch.uint8).permute(0, 2, 3, 1)


class _Worst:
    """The mistakes with the highest confidence under one condition, kept while batches go by."""

    def __init__(self, number: int, shape: tuple[int, ...], engine: Engine) -> None:
        self.number, self.engine, self.shape = number, engine, thumbnail_shape(shape)
        self.found: list[Mistake] = []

    def add(
        self,
        moved: Float[Tensor, "batch *feature"],
        logits: Float[Tensor, "batch class"],
        y: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"],
        right: Tensor,
    ) -> None:
        """Keep what is worse than what was kept."""
        if self.number == 0 or bool(right.all()):
            return
        rows = (~right).nonzero()[:, 0]
        # What is no number is no decision: all classes alike.
        finite = logits[rows].float().nan_to_num()
        others = finite.scatter(1, y[rows, None], -torch.inf)
        predicted = others.argmax(1)
        confidence = finite.softmax(1).gather(1, predicted[:, None])[:, 0]
        numbers = zip(index[rows].tolist(), y[rows].tolist(), predicted.tolist(), confidence.tolist(), strict=True)
        new = [Mistake(*each[:3], round(each[3], DIGITS), None) for each in numbers]
        place = {each.index: row for each, row in zip(new, rows.tolist(), strict=True)}
        kept = sorted([*self.found, *new], key=_order)[: self.number]
        if self.shape:
            kept = [
                each._replace(thumbnail=thumbnails(moved[place[each.index], None])[0].cpu().numpy())
                if each.thumbnail is None
                else each
                for each in kept
            ]
        self.found = kept

    def of_all_processes(self) -> tuple[Mistake, ...]:
        """Return the worst of what all processes found; all come here together."""
        if self.engine.world_size == 1:
            return tuple(self.found)
        # Places of a sum that only one process fills: the sum holds what each of them found.
        every = torch.zeros(self.engine.world_size, self.number, 5, dtype=torch.float64)
        images = torch.zeros(self.engine.world_size, self.number, *self.shape, dtype=torch.int64)
        for k, each in enumerate(self.found):
            every[self.engine.rank, k] = torch.tensor([1, *each[:4]], dtype=torch.float64)
            if each.thumbnail is not None:
                images[self.engine.rank, k] = torch.from_numpy(each.thumbnail).long()
        every, images = (self.engine.add_up(each.to(self.engine.device)).cpu() for each in (every, images))
        found = [
            Mistake(int(line[1]), int(line[2]), int(line[3]), line[4], image.numpy().astype(np.uint8))
            for lines, own in zip(every.tolist(), images, strict=True)
            for line, image in zip(lines, own, strict=True)
            if line[0]
        ]
        found = [each if self.shape else each._replace(thumbnail=None) for each in found]
        return tuple(sorted(found, key=_order)[: self.number])


def _order(mistake: Mistake) -> tuple[float, int]:
    return -mistake.confidence, mistake.index
