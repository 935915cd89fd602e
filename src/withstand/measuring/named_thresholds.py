"""Thresholds by the names that `--on` accepts."""

from withstand.conditions import JPEG
from withstand.evaluation.threshold import Threshold
from withstand.measuring.named_corruptions import IN_MEMORY, named_corruptions
from withstand.perturbations.base import Corruption, Pixels
from withstand.perturbations.corruptions.imagenet_c.frost import Textures
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg


def named_thresholds(
    word: str, *, side: int, pixels: Pixels | None = None, frost: Textures | None = None
) -> list[Threshold]:
    """Return the threshold of a name; empty if it is unknown.

    Args:
        word: `threshold`, with a share, a corruption or a suite after a slash.
        side: Shorter side of the images, in pixels.
        pixels: Image size whose parameters apply; None takes the nearest.
        frost: Frost textures.

    Example:
        >>> [each.conditions for each in named_thresholds("threshold/fog", side=32)]
        [('fog below 50 %',)]
        >>> named_thresholds("threshold/0.8", side=32)[0].conditions[0]
        'gaussian_noise below 80 %'
    """
    kind, slash, names = word.partition("/")
    if kind != "threshold" or JPEG in names or "/" in names:
        return []
    share, names = Threshold.share, names if slash else IN_MEMORY
    try:
        share, names = float(names), IN_MEMORY
    except ValueError:
        pass
    found = named_corruptions(names, side=side, pixels=pixels, frost=frost)
    found = [each.perturbation if isinstance(each, SavedAsJpeg) else each for each in found]
    mildest = tuple(each for each in found if isinstance(each, Corruption) and each.severity == 1)
    return [Threshold(corruptions=mildest, share=share)] if mildest else []
