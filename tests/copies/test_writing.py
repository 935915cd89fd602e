import errno
import hashlib
import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import MANIFEST, write_copy
from withstand.data.base import Dataset, TensorSplit
from withstand.data.corrupted.corrupted_folder import CorruptedFolder
from withstand.data.images.digits import Digits
from withstand.data.images.image_folder import ImageFolder
from withstand.errors import BusyError, InputError, TrainingError
from withstand.files import hold
from withstand.functional.random import row_streams
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg
from withstand.pools.block import Outcome, State
from withstand.pools.local_pool import LocalPool

CORRUPTIONS = (GaussianNoise(severity=2, pixels=32), Contrast(severity=5, pixels=32))


def two_processes(_):
    return LocalPool(2)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("source")
    random = np.random.RandomState(0)
    for number in range(150):
        folder = root / f"class{number % 2}"
        folder.mkdir(exist_ok=True)
        pixels = random.randint(0, 256, (40, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return ImageFolder(root=str(root), pixels=32, resize=34)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_files_hold_what_a_streaming_evaluation_with_the_same_seed_sees(source, tmp_path, kind):
    write_copy(CorruptedCopy(data=source, corruptions=CORRUPTIONS, seed=4, format=kind), tmp_path / "copy")
    split = source.load("test")
    for corruption in CORRUPTIONS:
        perturbation = SavedAsJpeg(perturbation=corruption) if kind == "jpeg" else corruption
        for x, y, index, _ in split.batches(torch.arange(len(split)).split(7)):
            rng = row_streams(4, perturbation.noise, index=index)
            seen = perturbation.draw(x, y, nn.Identity(), space=split.space, num_draws=1, rng=rng).inputs[0]
            for row, number in enumerate(index.tolist()):
                name = Path(split.files[number]).with_suffix(".JPEG" if kind == "jpeg" else ".png")
                with Image.open(tmp_path / "copy" / corruption.condition / name) as image:
                    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
                assert torch.equal(pixels, (seen[row] * 255).round().to(torch.uint8))


@pytest.mark.slow
def test_processes_write_what_one_writes_and_the_sums_are_those_of_the_files(source, tmp_path):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS)
    one = write_copy(copy, tmp_path / "one")
    two = write_copy(copy, tmp_path / "two", open_pool=two_processes)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert one["sha256"] == two["sha256"]
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "one" / "SHA256SUMS").read_text().splitlines())
    content = files(tmp_path / "one")
    assert set(sums) == set(content) - {"SHA256SUMS"}
    assert all(hashlib.sha256(content[name]).hexdigest() == digest for name, digest in sums.items())
    assert not list((tmp_path / "one").rglob("*.tmp"))


def test_a_stopped_copy_goes_on_and_ends_the_same(source, tmp_path):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS)
    write_copy(copy, tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stop(done):
        if done >= 64:
            raise Stopped

    with pytest.raises(Stopped):
        write_copy(copy, tmp_path / "stopped", tell=stop)
    assert not (tmp_path / "stopped" / MANIFEST).exists()
    first = next((tmp_path / "stopped").rglob("*.JPEG"))
    before = first.stat().st_mtime_ns
    told = []
    write_copy(copy, tmp_path / "stopped", tell=told.append)
    assert told == [64, 128, 150]
    assert first.stat().st_mtime_ns == before
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert write_copy(copy, tmp_path / "stopped", tell=told.append)["num_samples"] == 150
    assert told == [64, 128, 150]


@pytest.mark.slow
def test_the_work_of_a_killed_process_is_done_again_and_said(source, tmp_path, monkeypatch):
    copy, said, killed = CorruptedCopy(data=source, corruptions=CORRUPTIONS), [], []

    def kill_a_child(done):
        import multiprocessing

        children = multiprocessing.active_children()
        if children and not killed:
            killed.extend(each.pid for each in children)  # one alone could leave its work to the other
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    write_copy(copy, tmp_path / "killed", open_pool=two_processes, tell=kill_a_child, warn=said.append)
    write_copy(copy, tmp_path / "whole")
    assert killed
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert set(said) == {"corrupt: a worker process is lost; its work is repeated."}


@pytest.mark.slow
def test_many_at_once_end_in_the_copy_of_one(source, tmp_path):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS)
    write_copy(copy, tmp_path / "whole")

    def write(place):
        while True:
            try:
                return write_copy(copy, tmp_path / "many")["num_samples"]
            except BusyError:
                time.sleep(0.005)

    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(write, range(4))) == {150}
        assert files(tmp_path / "many") == files(tmp_path / "whole")
        assert not (tmp_path / "many" / ".blocks").exists()
        shutil.rmtree(tmp_path / "many")


def test_a_copy_that_another_process_completes_while_one_looks_is_complete(source, tmp_path, monkeypatch):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS[:1])
    normal, written = Path.is_file, []

    def completed_first(path):
        """The other process ends between two looks at the folder."""
        if path.name == "configuration.json" and not written:
            written.append(path)
            write_copy(copy, tmp_path / "copy")
        return normal(path)

    monkeypatch.setattr(Path, "is_file", completed_first)
    assert write_copy(copy, tmp_path / "copy")["num_samples"] == 150
    assert written


def test_what_a_kill_left_is_removed_by_the_next_run(source, tmp_path):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS)
    write_copy(copy, tmp_path / "copy")
    before = files(tmp_path / "copy")
    (tmp_path / "copy" / ".blocks").mkdir()
    (tmp_path / "copy" / ".blocks" / "0.tmp").write_bytes(b"half")
    (tmp_path / "copy" / ".classes.json.009454603025.tmp").write_bytes(b"half")
    with hold(tmp_path / "copy" / ".blocks", leaves_lock=False):
        write_copy(copy, tmp_path / "copy")  # the other process tidies up
        assert (tmp_path / "copy" / ".blocks" / "0.tmp").exists()
    write_copy(copy, tmp_path / "copy")
    assert files(tmp_path / "copy") == before


ARRAYS = tuple(Contrast(severity=severity, pixels=32) for severity in range(1, 6))


@pytest.mark.parametrize("can_reserve", [True, False])
def test_arrays_take_their_room_before_they_are_written(can_reserve, tmp_path, monkeypatch):
    class Begun(Exception):
        pass

    def refuse(handle, start, size):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def stop(*_):
        raise Begun

    if not can_reserve:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    monkeypatch.setattr("withstand.copies.writing.blocks_of", stop)
    with pytest.raises(Begun):
        write_copy(CorruptedCopy(data=Digits(), corruptions=ARRAYS, format="npy"), tmp_path / "copy")
    path = tmp_path / "copy" / ".blocks" / "contrast.npy"
    found = path.stat()
    assert found.st_blocks * 512 >= found.st_size
    array = np.load(path, mmap_mode="r")
    expected = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.uint8, shape=array.shape)
    expected.flush()
    assert path.read_bytes() == (tmp_path / "x.npy").read_bytes()


def test_a_disk_too_small_for_the_arrays_is_an_error_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_copy(CorruptedCopy(data=Digits(), corruptions=ARRAYS, format="npy"), tmp_path / "copy")
    assert caught.value.filename.endswith("contrast.npy")
    assert [each.name for each in (tmp_path / "copy" / ".blocks").iterdir() if each.suffix != ".json"] == ["worker"]


@pytest.mark.parametrize("format", ["jpeg", "same"])
def test_a_file_that_cannot_be_written_leaves_no_temporary_one(format, source, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_copy(CorruptedCopy(data=source, corruptions=CORRUPTIONS, format=format), tmp_path / "copy")
    assert Path(caught.value.filename).parent.name.startswith("class")
    assert not list(tmp_path.rglob("*.tmp"))


def test_arrays_have_the_severities_one_after_the_other(tmp_path):
    corruptions = tuple(GaussianNoise(severity=severity, pixels=32) for severity in range(1, 6))
    copy = CorruptedCopy(data=Digits(), corruptions=corruptions, format="npy")
    write_copy(copy, tmp_path / "arrays")
    split = Digits().load("test")
    n = len(split)
    array = np.load(tmp_path / "arrays" / "gaussian_noise.npy")
    labels = np.load(tmp_path / "arrays" / "labels.npy")
    assert array.shape == (5 * n, 32, 32, 3)
    assert array.dtype == np.uint8
    assert np.array_equal(labels, np.tile(split.y.numpy(), 5))
    assert json.loads((tmp_path / "arrays" / "classes.json").read_text()) == [str(each) for each in range(10)]
    x, y, index, _ = next(split.batches([torch.arange(n)]))
    for corruption in corruptions:
        rng = row_streams(0, corruption.noise, index=index)
        seen = corruption.draw(x, y, nn.Identity(), space=split.space, num_draws=1, rng=rng).inputs[0]
        part = array[(corruption.severity - 1) * n : corruption.severity * n]
        assert np.array_equal(part, (seen * 255).round().byte().permute(0, 2, 3, 1).numpy())
    assert sorted(path.name for path in (tmp_path / "arrays").iterdir()) == [
        "SHA256SUMS",
        "classes.json",
        "gaussian_noise.npy",
        "labels.npy",
        "manifest.json",
    ]


def test_arrays_of_image_files_hold_what_their_files_would(source, tmp_path):
    corruptions = tuple(Contrast(severity=severity, pixels=32) for severity in range(1, 6))
    for kind in ("png", "npy"):
        write_copy(CorruptedCopy(data=source, corruptions=corruptions, format=kind), tmp_path / kind)
    array, names = np.load(tmp_path / "npy" / "contrast.npy"), source.load("test").files
    for severity, part in enumerate(np.split(array, 5), start=1):
        for name, levels in zip(names[::25], part[::25], strict=True):
            with Image.open(tmp_path / "png" / "contrast" / str(severity) / name) as image:
                assert np.array_equal(np.asarray(image), levels)


def test_a_bad_image_stops_the_copy_or_is_left_out_and_named(source, tmp_path):
    root = tmp_path / "source"
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (9, 9, 9)).save(root / name)
    (root / "a/2.png").write_bytes(b"")
    data = ImageFolder(root=str(root), pixels=32, resize=34)
    with pytest.raises(InputError, match=r"a/2\.png cannot be read as an image \(it is empty\)"):
        write_copy(CorruptedCopy(data=data, corruptions=CORRUPTIONS), tmp_path / "error")
    lenient = ImageFolder(root=str(root), pixels=32, resize=34, on_bad_image="skip")
    manifest = write_copy(CorruptedCopy(data=lenient, corruptions=CORRUPTIONS), tmp_path / "skip")
    assert manifest["left_out"] == ["a/2.png"]
    assert manifest["num_samples"] == 2
    assert sorted(files(tmp_path / "skip")) == [
        "SHA256SUMS",
        "contrast/5/a/1.JPEG",
        "contrast/5/b/3.JPEG",
        "gaussian_noise/2/a/1.JPEG",
        "gaussian_noise/2/b/3.JPEG",
    ]
    corruptions = tuple(Contrast(severity=severity, pixels=32) for severity in range(1, 6))
    with pytest.raises(InputError, match="arrays need every image"):
        write_copy(CorruptedCopy(data=lenient, corruptions=corruptions, format="npy"), tmp_path / "arrays")


def test_a_folder_with_anything_else_in_it_is_refused(source, tmp_path):
    copy = CorruptedCopy(data=source, corruptions=CORRUPTIONS)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="is not empty and was not begun by this command"):
        write_copy(copy, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]
    write_copy(copy, tmp_path / "done")
    with pytest.raises(InputError, match="made with other options"):
        write_copy(CorruptedCopy(data=source, corruptions=CORRUPTIONS, seed=1), tmp_path / "done")
    with pytest.raises(InputError, match="expected a folder, found a file"):
        write_copy(copy, tmp_path / "full" / "letter.txt")


def test_two_images_that_would_become_one_file_are_refused(tmp_path):
    for name in ("a/1.png", "a/1.jpg", "b/1.png"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "source" / name)
    data = ImageFolder(root=str(tmp_path / "source"), pixels=32, resize=34)
    with pytest.raises(InputError, match=r"a/1\.jpg and a/1\.png would become one file"):
        write_copy(CorruptedCopy(data=data, corruptions=CORRUPTIONS), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_work_that_is_lost_again_and_again_is_given_up(source, tmp_path):
    class Losing(LocalPool):
        def wait(self, seconds):
            keys = [each.key for each in self.workers if each.future is not None]
            self.close()
            return [(key, Outcome(State.LOST, "its process ended with SIGKILL.")) for key in keys]

    said = []
    with pytest.raises(TrainingError, match=r"corrupt: .* lost 3 times; its process ended with SIGKILL"):
        write_copy(
            CorruptedCopy(data=source, corruptions=CORRUPTIONS),
            tmp_path / "copy",
            open_pool=lambda _: Losing(1),
            warn=said.append,
        )
    assert len(said) >= 2


def test_what_cannot_be_written_is_refused():
    with pytest.raises(InputError, match="must name at least one"):
        CorruptedCopy(data=Digits(), corruptions=())
    with pytest.raises(InputError, match="seed must be at least 0"):
        CorruptedCopy(data=Digits(), corruptions=CORRUPTIONS, seed=-1)
    with pytest.raises(InputError, match="arrays hold all five severities"):
        CorruptedCopy(data=Digits(), corruptions=CORRUPTIONS, format="npy")


@dataclass(frozen=True, kw_only=True)
class Pictures(Dataset):
    """Names in another order than the numbers: ranks of folders would be wrong."""

    def load(self, part):
        x = torch.zeros((6, 3, 8, 8), dtype=torch.uint8)
        return TensorSplit(x, torch.tensor([0, 1, 2, 2, 1, 0]), classes=("zebra", "a/b", "horse"), box=(0.0, 1.0))


def test_a_copy_is_read_back_with_the_labels_of_its_source(tmp_path):
    write_copy(CorruptedCopy(data=Pictures(), corruptions=(Contrast(severity=1, pixels=32),)), tmp_path / "copy")
    split = CorruptedFolder(root=str(tmp_path / "copy"), corruption="contrast", severity=1, pixels=8).load("test")
    assert split.classes == ("zebra", "a/b", "horse")
    assert sorted(zip((Path(file).parts[0] for file in split.files), split.y.tolist(), strict=True)) == [
        ("a_b", 1),
        ("a_b", 1),
        ("horse", 2),
        ("horse", 2),
        ("zebra", 0),
        ("zebra", 0),
    ]
