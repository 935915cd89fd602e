"""`withstand corrupt`: a corrupted copy of images, or a preview."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from withstand.configuration import discover
from withstand.console import Console
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import MANIFEST, write_copy
from withstand.data.base import Dataset, Part
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.image_file import SUFFIXES, walk_images
from withstand.data.images.image_folder import ImageFolder
from withstand.engine import Engine
from withstand.errors import InputError, brief, nearest
from withstand.families import command_name, loose, spellings
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed
from withstand.limits import NonNegativeInt, PositiveInt
from withstand.options import make_parser, read_experiment
from withstand.parser import parse
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.suites import Pixels, extras, imagenet_c, nearest_pixels
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.reports.figures.contact_sheet import contact_sheet, write_png

DESCRIPTION = (
    "Write SRC under every corruption and severity to DST, as image files like ImageNet-C or arrays like CIFAR-10-C. "
    "SRC is a folder of images, an image, or a data set (its test part). Repeat the command to resume."
)
WIDTH_OF_TILE = 144


@dataclass(frozen=True, kw_only=True)
class LooseImages(Dataset):
    """Images in a folder without class folders, or a single image."""

    path: str
    pixels: int
    resize: int | None
    on_bad_image: OnBadImage = "error"

    def load(self, part: Part) -> FileSplit:
        """List the files."""
        path = Path(self.path)
        folder = path if path.is_dir() else path.parent
        files = sorted(walk_images(folder)) if path.is_dir() else [path.name]
        return FileSplit(
            "corrupt",
            folder=folder,
            files=files,
            y=torch.zeros(len(files), dtype=torch.int64),
            classes=("image",),
            pixels=self.pixels,
            resize=self.resize,
            on_bad_image=self.on_bad_image,
        )


def main(words: list[str]) -> None:
    """Run `withstand corrupt`."""
    found = parse(_parser(), words)
    if found.target is None and found.preview is None:
        raise InputError("corrupt: expected a folder to write, or --preview FILE.png, got neither.")
    if found.target is not None and Path(found.target).resolve().is_relative_to(Path(found.source).resolve()):
        raise InputError(f"corrupt: expected a folder outside of {brief(found.source)}, got {found.target}.")
    engine = Engine.start(device=found.device)
    console = Console(engine=engine, quiet=found.quiet)
    data = _data(found)
    split = data.load("test")
    if len(split.shape) != 3:
        raise InputError(f"corrupt: expected images, got inputs of shape {split.shape} from {found.source}.")
    corruptions = choose(found.corruptions, _severities(found.severities))
    pixels = found.pixels or nearest_pixels(*split.shape[1:])
    cells = ImageNetC(pixels=pixels, jpeg=False, validation=True, frost=found.frost).cells(*split.shape[1:])
    wanted = {(type(each), each.severity) for each in corruptions}
    cells = tuple(each for each in cast(Any, cells) if (type(each), each.severity) in wanted)
    copy = CorruptedCopy(data=data, corruptions=cells, seed=found.seed, format=found.to)
    if split.shape[1:] != (pixels, pixels):
        console.say(f"Parameters for {pixels} pixels; the images have {split.shape[1]} x {split.shape[2]}.")
    if found.preview is not None:
        preview(copy, found.sample, Path(found.preview), engine)
        console.say(f"Preview: {found.preview}")
    if found.target is not None:
        write(copy, Path(found.target), workers=found.workers, engine=engine, console=console)


def _parser() -> ArgumentParser:
    parser = make_parser("corrupt", DESCRIPTION, positional="SRC [DST]")
    add = parser.add_argument
    add("source", type=str, metavar="SRC", help="folder of images, one image, or a data set")
    add("target", type=str | None, nargs="?", metavar="DST", help="output folder: new, or to be resumed")
    add(
        "--corruptions",
        type=str,
        nargs="+",
        default=["imagenet-c"],
        metavar="NAME",
        help="corruption names, imagenet-c, extras or all",
    )
    add("--severities", type=str, nargs="+", default=["1-5"], metavar="N", help="severities, such as 1 3 5 or 1-5")
    add("--to", type=Literal["jpeg", "png", "npy"], default="jpeg", help="JPEG (quality 85), lossless PNG, or arrays")
    add("--size", type=PositiveInt, default=224, help="width and height of the central crop")
    add("--resize", type=PositiveInt | None, help="shorter side before the crop (default: 8/7 of the size)")
    add("--pixels", type=Pixels | None, help="image size whose corruption parameters apply (default: nearest)")
    add("--frost", type=Literal["published", "procedural"], default="published", help="frost textures")
    add("--seed", type=NonNegativeInt, default=0, help="random seed")
    add(
        "--on_bad_image",
        type=OnBadImage,
        default="error",
        help="error: stop at an unreadable image; skip: leave it out",
    )
    add("--preview", type=str | None, help="PNG file that shows one image under all corruptions")
    add("--sample", type=int, default=0, help="index of the image in the preview")
    add = parser.add_argument_group("execution (not part of the configuration)").add_argument
    add("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add("--workers", type=NonNegativeInt | None, help="processes (-j; default: one per core on a CPU)")
    add("--quiet", action="store_true", help="print only the result")
    return parser


def write(copy: CorruptedCopy, folder: Path, *, workers: int | None, engine: Engine, console: Console) -> None:
    """Write the copy and print its size."""
    whole = (folder / MANIFEST).is_file()
    total = len(copy.data.load("test"))
    if workers is None:
        workers = (os.cpu_count() or 1) if engine.device.type == "cpu" and total * len(copy.corruptions) > 1000 else 0
    if not whole:
        console.say(f"{folder}: {total:,} images x {len(copy.corruptions)} cells, {engine.device}.")
    with console.counting(total) as tell:
        manifest = write_copy(copy, folder, device=engine.device, num_workers=workers, tell=tell, warn=console.say)
    left_out = f", {len(manifest['left_out'])} left out" if manifest["left_out"] else ""
    state = "is complete already" if whole else "is complete"
    console.say(f"{folder} {state}: {manifest['num_samples']:,} images x {len(copy.corruptions)} cells{left_out}.")


def preview(copy: CorruptedCopy, sample: int, path: Path, engine: Engine) -> None:
    """Draw one image under every corruption and severity."""
    split = copy.data.load("test")
    if not 0 <= sample < len(split):
        raise InputError(f"corrupt: sample must be from 0 to {len(split) - 1}, got {sample}.")
    if path.suffix.lower() != ".png":
        raise InputError(f"corrupt: the preview must be a .png file, got {path}.")
    x, y, index, _ = next(iter(split.batches([torch.tensor([sample])], device=engine.device)))
    tiles: dict[str, list[Any]] = {}
    for each in copy.corruptions:
        rng = RowStreams(derive_seed(copy.seed, each.noise), index, device=engine.device)
        changed = each.draw(x, y, nn.Identity(), space=split.space, num_draws=1, rng=rng).inputs[0]
        tiles.setdefault(each.condition.rsplit("/", 1)[0], []).append(_picture(changed))
    severities = list(dict.fromkeys(f"severity {each.severity}" for each in copy.corruptions))
    write_png(path, contact_sheet(_picture(x), tiles, columns=severities, width=WIDTH_OF_TILE))


def choose(names: list[str], severities: list[int]) -> tuple[Corruption, ...]:
    """Return corruptions by name, in the published order.

    Raises:
        InputError: If a name is unknown.
    """
    published, others = imagenet_c(severities=severities), extras(severities=severities)
    sets = {"imagenet-c": published, "extras": others, "all": published + others}
    known = [*sets, *dict.fromkeys(each.published_name() for each in published + others)]
    for name in names:
        if name not in known:
            raise InputError(f"corrupt: {brief(name)} is not a known corruption; {nearest(name, known)}")
    chosen = [each for name in names for each in sets.get(name, ())]
    return tuple(each for each in published + others if each in chosen or each.published_name() in names)


def _data(found: Any) -> Dataset:
    path = Path(found.source).expanduser()
    resize = found.resize if found.resize is not None else round(found.size * 8 / 7)
    if resize < found.size:
        raise InputError(f"corrupt: resize must be at least size ({found.size}), got {resize}.")
    if path.is_file():
        return LooseImages(path=str(path.resolve()), pixels=found.size, resize=resize, on_bad_image=found.on_bad_image)
    if path.is_dir():
        folder = str(path.resolve())
        if not any(each.is_dir() and not each.name.startswith(".") for each in path.iterdir()):
            if next(walk_images(path), None) is None:
                raise InputError(f"corrupt: found no image in {path} ({', '.join(SUFFIXES)}).")
            return LooseImages(path=folder, pixels=found.size, resize=resize, on_bad_image=found.on_bad_image)
        return ImageFolder(root=folder, pixels=found.size, resize=resize, on_bad_image=found.on_bad_image)
    known = spellings(Dataset)
    if loose(found.source) not in known and found.source.rpartition(".")[2] not in known.values():
        names = map(command_name, discover(Dataset))
        hint = nearest(found.source, names, otherwise="`withstand list datasets` shows data sets.")
        raise InputError(f"corrupt: found no folder of images or data set {brief(found.source)}; {hint}")
    return read_experiment([f"--data={found.source}"]).data


def _severities(words: list[str]) -> list[int]:
    chosen: set[int] = set()
    for word in words:
        if not (span := re.fullmatch(r"([1-5])(?:-([1-5]))?", word)):
            raise InputError(f"corrupt: severities must be from 1 to 5, e.g. 1 3 5 or 1-5, got {brief(word)}.")
        chosen |= set(range(int(span[1]), int(span[2] or span[1]) + 1))
    if not chosen:
        raise InputError(f"corrupt: severities must name at least one from 1 to 5, got {brief(' '.join(words))}.")
    return sorted(chosen)


def _picture(x: Tensor) -> Any:
    return to_levels(x)[0].permute(1, 2, 0).expand(-1, -1, 3).cpu().numpy()
