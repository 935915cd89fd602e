"""Every door for files: what it copies, what it damages, and the command that reads it."""

import hashlib
import io
import json
import os
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from fuzzing.case import Case, Door
from fuzzing.fixtures import IMAGES, TRAIN
from fuzzing.mutations import CANARIES, DEPTH, ODD, TEXT, change_json, change_yaml, damaged
from fuzzing.options import OPTIONS
from fuzzing.places import damage, files_below

ON_DIGITS = ("--data", "digits", *TRAIN)
EVALUATE_DIGITS = ("--data", "digits")
COPY = ("--corruptions", "contrast", "fog", "--severities", "1-5", "--size", "8", "--frost", "procedural", "-j", "0")
CONFIG = "digits-run/config.yaml"


def _copied(fixtures: Path, place: Path, names: Sequence[str]) -> None:
    for name in names:
        if (fixtures / name).is_dir():
            shutil.copytree(fixtures / name, place / name, symlinks=True)
        else:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fixtures / name, place / name)


@dataclass(frozen=True)
class Files:
    """A door that copies fixtures and damages one or two of the files whose paths match `only`, in which * matches /."""

    names: Sequence[str]
    commands: Sequence[Sequence[str]]
    only: str = "*"
    before: Callable[[Path], object] | None = None

    def fill(self, place: Path, fixtures: Path) -> None:
        """Copy what the commands need."""
        _copied(fixtures, place, self.names)
        for path in place.glob("copy*/manifest.json"):  # it names the folder of the originals
            path.write_text(path.read_text().replace((fixtures / "place").read_text(), str(place)))
        if self.before is not None:
            self.before(place)

    def __call__(self, rng: random.Random, place: Path, fixtures: Path) -> Case:
        """Make an input."""
        self.fill(place, fixtures)
        done: list[str] = []
        for _ in range(rng.choice((1, 1, 1, 2))):
            found = [each for each in files_below(place) if fnmatch(each.relative_to(place).as_posix(), self.only)]
            if found:
                done.append(damage(rng, rng.choice(found)))
        if not done:
            raise LookupError(f"no file of {self.names} is named {self.only}")
        return Case(words=tuple(rng.choice(self.commands)), damage=", ".join(done))

    def undamaged(self, words: Sequence[str]) -> Door:
        """Return the door of one command on whole files."""

        def door(rng: random.Random, place: Path, fixtures: Path) -> Case:
            self.fill(place, fixtures)
            return Case(words=tuple(words), damage="none")

        return door


def _unfinished(place: Path) -> None:
    for name in ("rows.jsonl", "model.safetensors"):
        (place / "digits-run" / name).unlink()
    for folder in (place / "digits-run").glob("outcomes"):
        shutil.rmtree(folder)


def _unfinished_under_its_name(place: Path) -> None:
    _unfinished(place)
    (place / "digits-run").rename(place / _name_of(place))


def checkpoint(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Damage the content of a checkpoint and sign it again, so that the hash in front does not stop the reader."""
    import torch

    _copied(fixtures, place, ["digits-run"])
    _unfinished(place)
    path = place / "digits-run" / "checkpoints" / "last.checkpoint"
    body = path.read_bytes()[32:]
    if rng.random() < 0.6:
        whole = torch.load(io.BytesIO(body), weights_only=True)
        inside = rng.choice((whole, whole["content"]))
        key = rng.choice(sorted(inside, key=str))
        inside[key] = rng.choice(
            (*ODD, torch.zeros(3), torch.zeros(2, dtype=torch.complex64), torch.tensor(float("nan")))
        )
        buffer = io.BytesIO()
        torch.save(rng.choice((whole, whole, whole, inside)), buffer)
        body, how = buffer.getvalue(), f"{key!r} in the content"
    else:
        body, how = damaged(rng, body, ".pth", [CONFIG.encode()]), "bytes of the content"
    path.write_bytes(hashlib.sha256(body).digest() + body)
    folder = path.parent.parent.rename(place / _name_of(place))
    return Case(words=("train", "--resume", folder.name), damage=f"checkpoint, signed again: {how}")


def _name_of(place: Path) -> str:
    """Return the name by which `--resume` knows the run."""
    own = json.loads((place / "digits-run" / "provenance.json").read_text())
    return f"one-{own['identity']}"


def weights(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Damage weights by value: types, shapes and names of the tensors."""
    import torch
    from safetensors.torch import save_file

    found = torch.load(fixtures / "weights/net.pth", weights_only=True)
    key = rng.choice(list(found))
    odd = [found[key].to(each) for each in (torch.int64, torch.complex64, torch.bool, torch.float16, torch.float64)]
    odd += [found[key] * float("nan"), found[key] / 0, found[key][:0], found[key][:1], found[key][0]]
    odd += [found[key][None], torch.zeros(()), torch.zeros(2**20)]
    if rng.random() < 0.3:
        found["unknown"] = found.pop(key)
    else:
        found[key] = rng.choice(odd)
    name = rng.choice(("net.safetensors", "net.pth"))
    if name.endswith("safetensors"):
        save_file({each: value.contiguous().clone() for each, value in found.items()}, place / name)
    else:
        others: list[object] = [found, {"state_dict": found}, {3: found[next(iter(found))]}, list(found), None]
        others += [{"state_dict": ODD[int(rng.random() * len(ODD))]}, {**found, None: 3}, {**found, 7: torch.zeros(2)}]
        torch.save(rng.choice(others), place / name)
    return Case(words=("train", *ON_DIGITS, "--weights", name), damage=f"tensor {key!r} or its holder in {name}")


def program(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Put text that would run, if it were evaluated, into an exported program, or pickles in place of its weights."""
    text = rng.choice(("__import__('os').system('touch executed')", "exec('executed = 1')", "9**9**9**9", "(" * DEPTH))
    pickled = rng.random() < 0.3
    source, target = fixtures / "models/net.pt2", place / "net.pt2"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("models/model.json") or (name.endswith(".json") and rng.random() < 0.2):
                change = rng.random()
                if change < 0.6:
                    content = re.sub(rb"Symbol\('\w+'[^)]*\)", lambda _: json.dumps(text).encode()[1:-1], content)
                else:
                    content = change_json(rng, content)
            if pickled and name.endswith("_config.json"):
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true')
            elif pickled and "weight_" in name:
                content = rng.choice(CANARIES[:2])
            new.writestr(zipfile.ZipInfo(name), content)  # without the time of day
    return Case(words=("evaluate", "net.pt2", *EVALUATE_DIGITS), damage=f"net.pt2, pickled {pickled}: {text[:50]}")


def inline_yaml(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Give damaged YAML after `--on`, and after options that hold a class."""
    texts = (
        "{class_path: Gaussian, init_args: {std: 0.1}}",
        "{class_path: Accuracy, init_args: {perturbations: [{class_path: Fog, init_args: {severity: 3}}], top: [1]}}",
        "{class_path: WorstCase, init_args: {balls: [{norm: linf, radius: 0.1}], budget: quick}}",
        "{class_path: PGD, init_args: {ball: {norm: l2, radius: 1.0}, num_steps: 2}}",
        "fog/3",
        "clean",
    )
    text = rng.choice(texts).encode()
    for _ in range(rng.choice((1, 1, 2))):
        change = change_yaml if rng.random() < 0.5 else rng.choice(TEXT)
        try:
            text = change(rng, text)
        except Exception:  # it is no longer YAML
            text = rng.choice(TEXT)(rng, text)
    word = os.fsdecode(text.replace(b"\0", b""))[:100_000]
    if rng.random() < 0.7:
        _copied(fixtures, place, ["digits-run"])
        return Case(words=("evaluate", "digits-run", f"--on={word}"), damage="--on", may_be_long=True)
    option = rng.choice(("--objective.perturbation", "--evaluations", "--objective", "--model", "--training", "--data"))
    return Case(words=("train", "--print_config", f"{option}={word}"), damage=option)


def links(rng: random.Random, place: Path, fixtures: Path) -> Case:
    """Forge the list of a report's files, so that it names files outside, through links and dots."""
    _copied(fixtures, place, ["runs", "report"])
    outside = place.parent / "outside"
    (place / "report" / "link").symlink_to(rng.choice((str(outside), "../../outside", "..", "/")))
    names = [
        "link/kept",
        "../../outside/kept",
        str(outside / "kept"),
        "cards/../../../outside/kept",
        "link",
        ".",
        "..",
        "",
    ]
    if rng.random() < 0.3:
        shutil.rmtree(place / "report" / "tables")
        (place / "report" / "tables").symlink_to(outside)
        names.append("tables/kept")
    path = place / "report" / "files.json"
    content = json.loads(path.read_text())
    content["files"] = [*content["files"], *rng.sample(names, 3), rng.choice(ODD)]
    path.write_text(json.dumps(content))
    return Case(words=("report", "runs", "--output", "report", "--quiet"), damage="forged names in files.json")


def train_on(*words: str) -> tuple[tuple[str, ...], ...]:
    """Return the command that trains on a data set."""
    return (("train", *TRAIN, *words, "--quiet"),)


TABLE = "Table", "--data.target", "y", "--data.path"
ARRAYS = ("evaluate", "images-run", "--data", "CorruptedArrays", "--data.root")
FOLDERS = ("evaluate", "images-run", "--data.pixels", "8", "--data", "CorruptedFolder", "--data.root")
DOORS: dict[str, tuple[int, Door]] = {
    **{f"options of {command}": (weight, door) for command, (weight, door) in OPTIONS.items()},
    "inline YAML": (8, inline_yaml),
    "config": (
        6,
        Files([CONFIG], [("train", "--config", CONFIG, *end) for end in (["--print_config"], ["--epochs", "1"])]),
    ),
    "sweep file": (6, Files(["sweep.yaml"], [("sweep", "sweep.yaml", "--dry-run", *end) for end in ([], ["--small"])])),
    "class map, text": (
        3,
        Files(["images", "map.txt"], train_on(*IMAGES, "--data.class_map", "map.txt"), only="map.*"),
    ),
    "class map, JSON": (
        3,
        Files(["images", "map.json"], train_on(*IMAGES, "--data.class_map", "map.json"), only="map.*"),
    ),
    "image folder": (
        10,
        Files(["images"], [*train_on(*IMAGES), ("corrupt", "images/val", "made", *COPY)], only="images/*"),
    ),
    "images of any size": (
        4,
        Files(
            ["images"],
            [("corrupt", "images/val", "made", *COPY[:5], "--size", "original", "-j", "0")],
            only="images/val/*",
        ),
    ),
    "IDX": (4, Files(["idx"], train_on("--data", "Mnist", "--data.root", "idx"))),
    "IDX.gz": (4, Files(["idx-gz"], train_on("--data", "Mnist", "--data.root", "idx-gz"))),
    "CIFAR, Python": (6, Files(["cifar"], train_on("--data", "Cifar10", "--data.root", "cifar"))),
    "CIFAR, binary": (2, Files(["cifar-bin"], train_on("--data", "Cifar10", "--data.root", "cifar-bin"))),
    "npy": (6, Files(["arrays", "images-run", "images"], [(*ARRAYS, "arrays")], only="arrays/*")),
    "CIFAR-10-C": (
        3,
        Files(
            ["CIFAR-10-C", "digits-run"],
            [("evaluate", "digits-run", "--data", "Cifar10C", "--data.root", ".")],
            only="CIFAR-10-C/*",
        ),
    ),
    "CSV": (6, Files(["table.csv"], train_on("--data", *TABLE, "table.csv"))),
    "Parquet": (6, Files(["table.parquet"], train_on("--data", *TABLE, "table.parquet"))),
    "copy of images": (5, Files(["copy", "images-run", "images"], [(*FOLDERS, "copy")], only="copy/*")),
    "manifest of a copy": (
        6,
        Files(
            ["copy", "images-run", "images"],
            [(*FOLDERS, "copy"), ("corrupt", "images/val", "copy", *COPY, "--to", "png")],
            only="copy/*.json",
        ),
    ),
    "copy as arrays": (
        4,
        Files(
            ["copy-npy", "images-run", "images"],
            [(*ARRAYS, "copy-npy"), ("corrupt", "images/val", "copy-npy", *COPY, "--to", "npy")],
            only="copy-npy/*",
        ),
    ),
    "weights": (6, weights),
    **{
        f"bytes of weights, {name.partition('.')[2]}": (
            2,
            Files([f"weights/{name}"], [("train", *ON_DIGITS, "--weights", f"weights/{name}")]),
        )
        for name in ("net.safetensors", "net.pth")
    },
    **{
        f"model, {name.partition('.')[2]}": (
            2,
            Files([f"models/{name}"], [("evaluate", f"models/{name}", *EVALUATE_DIGITS)]),
        )
        for name in ("net.pt2", "net.ts", "net.onnx")
    },
    "program": (3, program),
    "transformers": (1, Files(["vit"], [("evaluate", "vit", *EVALUATE_DIGITS)])),
    "checkpoint": (6, checkpoint),
    "unfinished run": (
        4,
        Files(
            ["digits-run"],
            [("train", "--data", "digits", *TRAIN, "--output", ".", "--name", "one")],
            before=_unfinished_under_its_name,
        ),
    ),
    "run, evaluated": (
        8,
        Files(["digits-run"], [("evaluate", "digits-run", "--on", "clean"), ("evaluate", "digits-run")]),
    ),
    "runs, reported": (8, Files(["runs"], [("report", "runs", "--quiet", "--output", "new")])),
    "report, written again": (
        4,
        Files(["runs", "report"], [("report", "runs", "--output", "report", "--quiet")], only="report/*"),
    ),
    "list of a report's files": (4, links),
    "sweep, reported": (6, Files(["sweep"], [("report", "sweep", "--quiet", "--output", "new")])),
    "sweep, continued": (
        4,
        Files(
            ["sweep", "sweep.yaml"],
            [
                ("sweep", "sweep.yaml", "--output", ".", "--name", "sweep", *end)
                for end in (["--dry-run"], ["--vectorize"])
            ],
            only="sweep/*",
        ),
    ),
}
