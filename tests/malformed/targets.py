"""Targets for the readers of binary files and text: `python tests/malformed/targets.py NAME --seconds 60`.

With atheris, which runs on Linux, inputs follow the coverage of the package's code; without it, they are mutations drawn
by the fuzzer's own generator. A reader returns, or refuses what it got with an `InputError`; everything else is a crash.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from fuzzing.mutations import BYTES, TEXT

MEMORY = 4096  # MiB
HANG = 30  # seconds


def idx(path: Path) -> None:
    """Read an array of IDX."""
    from withstand.data.images.idx import read_idx

    read_idx("Mnist", path, num_axes=3)


def cifar(path: Path) -> None:
    """Read a pickle of CIFAR-10."""
    from withstand.data.images.cifar import read_python
    from withstand.data.images.cifar10 import CIFAR10

    read_python(CIFAR10, path)


def npy(path: Path) -> None:
    """Read an array of images, with the labels beside it."""
    import numpy as np

    from withstand.data.corrupted.corrupted_arrays import CorruptedArrays

    fog = path.with_name("fog.npy")
    fog.write_bytes(path.read_bytes())
    np.save(path.with_name("labels.npy"), np.arange(4) % 2)
    CorruptedArrays(root=str(path.parent), corruption="fog", severity=1, num_classes=2).load("test")


def checkpoint(path: Path) -> None:
    """Read a checkpoint whose hash is right."""
    from withstand.training.checkpoint import read

    content = path.read_bytes()
    path.write_bytes(hashlib.sha256(content).digest() + content)
    read(path)


def weights(path: Path) -> None:
    """Read weights of both formats."""
    from withstand.models.weights import read_tensors

    content = path.read_bytes()
    for suffix in (".pth", ".safetensors"):
        other = path.with_suffix(suffix)
        other.write_bytes(content)
        with suppress(ValueError):
            read_tensors(other)


def image(path: Path) -> None:
    """Decode an image, of whatever kind its first bytes are."""
    import torch

    from withstand.data.images.image_folder import ImageFolder

    for label in ("a", "b"):
        folder = path.parent / "images" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "0.png").write_bytes(path.read_bytes())
    split = ImageFolder(root=str(path.parent / "images"), pixels=8, resize=8).load("test")
    list(split.batches([torch.tensor([0])]))


def rows(path: Path) -> None:
    """Read the rows of a run."""
    from withstand.study.measures.row import read_rows

    read_rows(path)


def yaml(path: Path) -> None:
    """Read a configuration."""
    from withstand.parser import read_yaml

    read_yaml("config", "it", path)


# Each with the fixtures that its inputs begin with.
TARGETS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "idx": (idx, ("idx/t10k-images-idx3-ubyte", "idx-gz/t10k-images-idx3-ubyte.gz")),
    "cifar": (cifar, ("cifar/cifar-10-batches-py/test_batch",)),
    "npy": (npy, ("arrays/fog.npy", "arrays/labels.npy")),
    "checkpoint": (checkpoint, ("digits-run/checkpoints/last.checkpoint",)),
    "weights": (weights, ("weights/net.safetensors", "weights/net.pth")),
    "image": (image, tuple(f"images/val/a/{name}" for name in ("0.png", "1.jpg", "2.tif", "3.webp", "4.bmp", "5.ppm"))),
    "rows": (rows, ("digits-run/rows.jsonl",)),
    "yaml": (yaml, ("digits-run/config.yaml", "sweep.yaml")),
}


def corpus(name: str, fixtures: Path) -> list[bytes]:
    """Return the first inputs of a target."""
    found = [(fixtures / each).read_bytes() for each in TARGETS[name][1]]
    return [each[32:] for each in found] if name == "checkpoint" else found


def try_one(name: str, content: bytes, folder: Path) -> None:
    """Read one input; raises what is not a refusal."""
    from withstand.errors import InputError

    path = folder / "input"
    path.write_bytes(content)
    with suppress(InputError):
        TARGETS[name][0](path)


def mutate(name: str, inputs: list[bytes], *, seconds: float, kept: Path) -> int:
    """Try mutations for a time; keep the input of a crash, and return how many there were."""
    rng, crashes, begun = random.Random(0), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() - begun < seconds and not crashes:
            content = rng.choice(inputs)
            for _ in range(rng.choice((1, 1, 2, 5))):
                content = rng.choice((*BYTES, *TEXT))(rng, content)
            try:
                try_one(name, content, Path(folder))
            except Exception as problem:
                crashes += 1
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"crash-{name}").write_bytes(content)
                sys.stdout.write(f"{name}: {type(problem).__name__}: {str(problem)[:200]}\n")
    return crashes


def follow(name: str, inputs: list[bytes], *, seconds: float, kept: Path) -> None:
    """Let atheris search for a time; it ends the process, with an error after a crash."""
    import atheris  # pyright: ignore[reportMissingImports]

    with atheris.instrument_imports(include=["withstand"]), tempfile.TemporaryDirectory() as empty:
        with suppress(Exception):
            try_one(name, b"", Path(empty))
    begin, folder = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    for number, each in enumerate(inputs):
        (begin / str(number)).write_bytes(each)
    kept.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={int(seconds)}",
        f"-rss_limit_mb={MEMORY}",
        f"-timeout={HANG}",
        "-seed=1",
        "-verbosity=0",
    ]
    words = [sys.argv[0], *options, f"-artifact_prefix={kept}/{name}-", str(begin)]
    atheris.Setup(words, lambda content: try_one(name, content, folder))
    atheris.Fuzz()


def main() -> int:
    """Run one target, or every one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--fixtures", type=Path, help="folder of valid files, made if there is none (default: temporary)"
    )
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "malformed-targets")
    found = parser.parse_args()
    if found.name == "all" or found.fixtures is None:
        with tempfile.TemporaryDirectory(prefix="malformed-") as scratch:  # atheris removes nothing
            return in_processes(found, Path(scratch))
    inputs = corpus(found.name, found.fixtures)
    if find_spec("atheris"):
        follow(found.name, inputs, seconds=found.seconds, kept=found.kept)
    return int(mutate(found.name, inputs, seconds=found.seconds, kept=found.kept) > 0)


def in_processes(found: argparse.Namespace, scratch: Path) -> int:
    """Run each target in a process, print a line for each, and return 1 after a crash."""
    way, failed = "atheris" if find_spec("atheris") else "mutations", 0
    fixtures = (found.fixtures or scratch / "fixtures").resolve()
    environment = {**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    if not fixtures.is_dir():
        words = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "--fixtures", str(fixtures), "--inputs", "0"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    for name in TARGETS if found.name == "all" else (found.name,):
        words = [sys.executable, __file__, name, "--seconds", str(found.seconds)]
        words += ["--fixtures", str(fixtures), "--kept", str(found.kept.resolve())]
        options = {"capture_output": True, "text": True, "errors": "replace", "timeout": found.seconds + 300}
        done = subprocess.run(words, env=environment, check=False, **options)
        failed += done.returncode != 0
        sys.stdout.write(f"{name:<12}{way}, {found.seconds:g} s: {'crashed' if done.returncode else 'no crash'}\n")
        if done.returncode:
            told = (done.stdout + done.stderr).partition("Uncaught Python exception")[2] or done.stdout + done.stderr
            sys.stdout.write(f"{told.partition('INFO: Instrumenting')[0][-3000:]}\nThe input is in {found.kept}.\n")
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
