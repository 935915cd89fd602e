"""`withstand corrupt`: a corrupted copy of images, or a preview."""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from os.path import realpath
from pathlib import Path
from typing import Any, Literal, cast, get_args

from jsonargparse import ArgumentParser
from torch import Tensor

from withstand.commands.pooling import add_pool_options, check_pool_options, is_on_cluster, make_pool, names_of, stored
from withstand.conditions import MNIST_C
from withstand.configuration import discover
from withstand.console import Console
from withstand.copies.blocks import batches, corrupted
from withstand.copies.forecast import forecast
from withstand.copies.image_tree import ImageTree
from withstand.copies.layout import RECORDS, CorruptedCopy, Format, Source, array_name, load
from withstand.copies.masks import AUTO
from withstand.copies.originals import Originals
from withstand.copies.sources import images_at
from withstand.copies.writing import manifest_of, write_copy
from withstand.data.base import Dataset
from withstand.data.images.class_map import MANIFEST
from withstand.data.images.decoding import Alpha, Depth, Orientation
from withstand.data.images.file_split import OnBadImage
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError, brief, nearest
from withstand.families import command_name, loose, spellings
from withstand.functional.levels import to_levels
from withstand.limits import NonNegativeInt, PositiveInt, Workers
from withstand.options import make_parser, read_experiment
from withstand.parser import parse
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.suites import (
    Pixels,
    extras,
    imagenet_c,
    nearest_c_bar,
    nearest_pixels,
    other_suites,
    others,
)
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.pools.mirror import Mirror
from withstand.reading.places import check_output, place_of
from withstand.rendering.terminal import as_text
from withstand.reports.figures.contact_sheet import contact_sheet, write_png

DESCRIPTION = (
    "Write SRC under every corruption and severity to DST, as image files like ImageNet-C or arrays like CIFAR-10-C. "
    "SRC is a folder of images, an image, tar shards, or a data set (its test part). With --size original, images keep "
    "their sizes, and masks and annotations are copied, as for detection. Repeat the command to resume."
)
WIDTH_OF_TILE = 144
IMAGENET_SIZE = 224, 224
MOST_PLACES = 8  # folders of masks in the summary


def main(words: list[str]) -> None:
    """Run `withstand corrupt`."""
    found = parse(_parser(), words)
    if found.target is None and found.preview is None:
        raise InputError("corrupt: expected a folder to write, or --preview FILE.png, got neither.")
    source, target = place_of(found.source), None if found.target is None else place_of(found.target)
    if isinstance(target, Path):
        check_output("corrupt: DST", target)
    elif target is not None and found.to == "npy":
        raise InputError("corrupt: arrays need a local folder; write jpeg or png to an object store.")
    if found.preview is not None:
        check_output("corrupt: --preview", Path(found.preview).parent)
    folders = [realpath(each) for each in (source, target) if isinstance(each, Path)]
    if len(folders) == 2 and Path(folders[1]).is_relative_to(folders[0]):
        raise InputError(f"corrupt: expected a folder outside of {brief(found.source)}, got {found.target}.")
    if found.masks != [AUTO] and found.size != "original":
        raise InputError("corrupt: --masks needs --size original; other copies hold every image, corrupted.")
    if found.sample and found.preview is None:
        raise InputError("corrupt: --sample needs --preview FILE.png; a copy holds every image.")
    check_pool_options("corrupt", found)
    severities = _severities(found.severities)
    choose(found.corruptions, severities)
    engine = Engine.start(device=found.device)
    console = Console(engine=engine, quiet=found.quiet)
    copy = _copy(found, severities)
    if found.preview is not None:
        preview(copy, found.sample, Path(found.preview), engine)
        console.say(f"Preview: {found.preview}")
    if found.target is not None:
        with stored(found.target, _is_record) as (folder, mirrors):
            console.names |= names_of(mirrors)
            write(copy, folder, found, mirrors, engine=engine, console=console)


def _copy(found: Any, severities: list[int]) -> CorruptedCopy:
    data = _data(found)
    keeps_sizes = isinstance(data, ImageTree) and data.pixels is None
    shape = (3, *IMAGENET_SIZE) if keeps_sizes else data.load("test").shape
    if len(shape) != 3:
        raise InputError(f"corrupt: expected images, got inputs of shape {shape} from {found.source}.")
    side = found.pixels or min(shape[1:])
    pixels = nearest_pixels(side, side)
    every = ImageNetC(pixels=pixels, jpeg=False, validation=True, frost=found.frost).cells(*shape[1:])
    every += (*chain.from_iterable(other_suites(pixels=side).values()), *others(pixels=pixels))
    wanted = {(type(each), each.severity) for each in choose(found.corruptions, severities, side=side)}
    cells = tuple(each for each in dict.fromkeys(cast(Any, every)) if (type(each), each.severity) in wanted)
    for each in cells:
        each.check(Space(shape=shape, box=(0.0, 1.0)))
    if keeps_sizes and found.pixels is None:
        cells = tuple(replace(each, pixels=None) for each in cells)
    format = found.to or ("same" if keeps_sizes else "jpeg")
    return CorruptedCopy(data=data, corruptions=cells, seed=found.seed, format=format)


def _parser() -> ArgumentParser:
    parser = make_parser("corrupt", DESCRIPTION, positional="SRC [DST]")
    add = parser.add_argument
    add("source", type=str, metavar="SRC", help="images (a folder, a file or tar shards), or a data set")
    add("target", type=str | None, nargs="?", metavar="DST", help="output folder: new, or to be resumed")
    add(
        "--corruptions",
        type=str,
        nargs="+",
        default=["imagenet-c"],
        metavar="NAME",
        help="corruption names, imagenet-c, extras, all (19), or suites: c-bar, laion-c, 3dcc, mnist-c",
    )
    add("--severities", type=str, nargs="+", default=["1-5"], metavar="N", help="severities, such as 1 3 5 or 1-5")
    add("--to", type=Format | None, help="jpeg (quality 85), png, npy, or same as the images (default with original)")
    add(
        "--size",
        type=PositiveInt | Literal["original"],
        default=224,
        help="width and height of the central crop, or original: keep sizes, names, masks and annotations",
    )
    add("--resize", type=PositiveInt | None, help="shorter side before the crop (default: 8/7 of the size)")
    add("--pixels", type=Pixels | None, help="image size whose corruption parameters apply (default: nearest)")
    add("--frost", type=Literal["published", "procedural"], default="published", help="frost textures")
    add("--masks", type=str, nargs="+", default=[AUTO], metavar="NAME", help="not corrupted with --size original")
    add("--seed", type=NonNegativeInt, default=0, help="random seed")
    add("--dry_run", action="store_true", help="print what is missing and what it will cost, then exit")
    add("--preview", type=str | None, help="PNG file that shows one image under all corruptions")
    add("--sample", type=int, default=0, help="index of the image in the preview")
    add = parser.add_argument_group("image files").add_argument
    add("--data.on_bad_image", type=OnBadImage, default="error", help="unreadable images: error, or skip them")
    add(
        "--data.orientation",
        type=Orientation,
        default="apply",
        help="turn images upright by their EXIF tag, or not",
    )
    add("--data.depth", type=Depth, default=8, help="most bits per channel: 8, or 16, of which the upper 8 are read")
    add("--data.alpha", type=Alpha, default="white", help="background of transparent pixels")
    add = parser.add_argument_group("execution (not part of the configuration)").add_argument
    add("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    add("--workers", type=Workers | None, help="processes (-j; default: one per core on a CPU)")
    add("--quiet", action="store_true", help="print only the result")
    add_pool_options(parser)
    return parser


def _is_record(name: str) -> bool:
    """Return whether a file of a copy says what is done."""
    return name == MANIFEST or name.startswith(f"{RECORDS}/")


def write(
    copy: CorruptedCopy, folder: Path, found: Any, mirrors: Sequence[Mirror], *, engine: Engine, console: Console
) -> None:
    """Write the copy and print its size."""
    whole = manifest_of(copy, folder) is not None
    source = load(copy)
    total = len(source)
    if found.workers is None and not is_on_cluster(found):
        many = engine.device.type == "cpu" and total * len(copy.corruptions) > 1000
        found.workers = (os.cpu_count() or 1) if many else 0
    if found.dry_run:
        options = {"processes": found.workers or 1, "start": time.process_time()}
        console.print(as_text([forecast(copy, folder, engine=engine, **options).grid()]))
        return
    is_spread = found.workers or is_on_cluster(found) or mirrors
    logs = folder.with_name(f"{folder.name}-jobs")  # no part of a copy
    open_pool = partial(make_pool, found, folder, mirrors=mirrors, logs=logs) if is_spread else None
    if not whole:
        console.say(f"{folder}: {total:,} images x {len(copy.corruptions)} cells, {engine.device}.")
    with console.counting(total) as tell:
        manifest = write_copy(copy, folder, engine=engine, open_pool=open_pool, tell=tell, warn=console.say)
    console.say(_parameters(copy, source, manifest))
    if copy.keeps_sizes:
        places = [f"{count:,} in {brief(place)}" for place, count in manifest["masks"].items()]
        masks = ", ".join(places[:MOST_PLACES] + ["..."] * (len(places) > MOST_PLACES)) or "none"
        console.say(f"Copied unchanged: masks ({masks}), {manifest['num_other_files']:,} other files.")
    left_out = f", {len(manifest['left_out'])} left out" if manifest["left_out"] else ""
    state = "is complete already" if whole else "is complete"
    console.say(f"{folder} {state}: {manifest['num_samples']:,} images x {len(copy.corruptions)} cells{left_out}.")


def _parameters(copy: CorruptedCopy, source: Source, manifest: dict[str, Any]) -> str:
    """Return a note on the published parameters of images of other sizes; empty if there are none."""
    pixels = {each.pixels for each in copy.corruptions if each.pixels}
    known = " and ".join(map(str, sorted(pixels, reverse=True)))
    if isinstance(source, Originals):
        if pixels:
            return f"Parameters for {known} pixels."
        total, sizes = len(source), manifest["nearest_sizes"].items()
        words = ", ".join(f"{size} pixels ({count:,} of {total:,} images)" for size, count in sizes)
        found = f"Parameters for the nearest published size: {words}"
        all_have = all(set(each.tables) >= set(get_args(Pixels)) for each in copy.corruptions)
        return f"{found}." if all_have else f"{found}; or for the nearest that a corruption has."
    height, width = source.shape[1:]
    return f"Parameters for {known} pixels; the images have {height} x {width}." if {height, width} != pixels else ""


def preview(copy: CorruptedCopy, sample: int, path: Path, engine: Engine) -> None:
    """Draw one image under every corruption and severity."""
    source = load(copy)
    if not 0 <= sample < len(source):
        raise InputError(f"corrupt: sample must be from 0 to {len(source) - 1}, got {sample}.")
    if path.suffix.lower() != ".png":
        raise InputError(f"corrupt: the preview must be a .png file, got {path}.")
    batch = next(batches(source, sample, sample + 1, str(engine.device)), None)
    if batch is None:
        raise InputError(f"corrupt: sample {sample} is left out, since it cannot be read; name another.")
    tiles: dict[str, list[Any]] = {}
    for corruption, images in corrupted(copy, batch.sample):
        tiles.setdefault(array_name(corruption), []).append(_picture(images))
    severities = list(dict.fromkeys(f"severity {each.severity}" for each in copy.corruptions))
    write_png(path, contact_sheet(_picture(batch.sample.x), tiles, columns=severities, width=WIDTH_OF_TILE))


def choose(names: list[str], severities: list[int], *, side: int = 224) -> tuple[Corruption, ...]:
    """Return corruptions by name, in the published order.

    Args:
        names: Of corruptions or of suites.
        severities: From 1 to 5.
        side: Shorter side of the images in pixels, by which `c-bar` is one of two suites.

    Raises:
        InputError: If a name is unknown.
    """
    published, more, own = (suite(severities=severities) for suite in (imagenet_c, extras, others))
    sets = {"imagenet-c": published, "extras": more, "all": published + more} | other_suites(severities=severities)
    every = dict.fromkeys((*chain.from_iterable(sets.values()), *own))
    sets["c-bar"] = sets[nearest_c_bar(side)]
    known = [*sets, *dict.fromkeys([*(each.published_name() for each in every), *MNIST_C])]
    for name in names:
        if name not in known:
            raise InputError(f"corrupt: {brief(name)} is not a known corruption; {nearest(name, known)}")
    chosen = [each for name in names for each in sets.get(name, ())]
    found = tuple(each for each in every if each in chosen or each.published_name() in names)
    there = {each.published_name() for each in found}
    if absent := [name for name in names if not sets.get(name, name in there)]:
        given = " ".join(map(str, severities))
        raise InputError(f"corrupt: severities must include 1, the only one of {', '.join(absent)}, got {given}.")
    return found


def _data(found: Any) -> Dataset:
    options = {"size": found.size, "resize": found.resize, "masks": tuple(found.masks)}
    images = images_at(found.source, **options, **vars(found.data))
    if images is not None:
        return images
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
