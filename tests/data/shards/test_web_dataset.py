import json
import os

import pytest
import torch

import withstand as ws
from withstand.data.images.image_folder import ImageFolder
from withstand.data.shards.shard_index import ShardIndex
from withstand.data.shards.web_dataset import WebDataset
from withstand.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

FIELDS = {"pixels": 32, "resize": 34, "on_bad_image": "skip"}


def content(split, **options):
    """All that a split gives."""
    batches = list(split.batches(torch.arange(len(split)).split(4), **options))
    return [torch.cat([getattr(each, name) for each in batches]) for name in ("x", "y", "number")]


@pytest.fixture
def sharded(every_layout, tmp_path, pack):
    """The photographs in shards: in folders, with .cls members, and with .json members."""
    photos = every_layout / "photos"
    names = sorted(each.name for each in (photos / "train").iterdir())
    for part in ("train", "val"):
        files = [each for each in sorted((photos / part).rglob("*.*")) if each.parent.name in names][::-1]
        files = [each for each in files if not each.name.startswith(".") and each.suffix != ".txt"]
        shards = {"folders": [], "cls": [], "json": []}
        for file in files:
            name, image = file.parent.name, file.read_bytes()
            key = f"{names.index(name)}/{file.stem}"
            shards["folders"].append([(f"./{name}/{file.name}", image)])
            shards["cls"].append([(f"{key}{file.suffix}", image), (f"{key}.cls", b"%d\n" % names.index(name))])
            shards["json"].append(
                [(f"{key}.json", json.dumps({"label": name}).encode()), (f"{key}{file.suffix}", image)]
            )
        for kind, samples in shards.items():
            for shard in range(3):
                members = [member for sample in samples[shard::3] for member in sample]
                pack(tmp_path / "shards" / kind / f"{part}-{shard:03}.tar", members)
    return tmp_path / "shards"


@pytest.fixture(params=["local", "memory"])
def root(request, sharded, in_memory):
    return str(sharded) if request.param == "local" else in_memory(sharded)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("kind", ["folders", "cls", "json"])
def test_shards_equal_a_folder(every_layout, root, kind, part):
    folder = ImageFolder(root=f"{every_layout}/photos", validation_share=0.25, **FIELDS).load(part)
    data = WebDataset(
        path=f"{root}/{kind}/val-{{000..002}}.tar",
        train=f"{root}/{kind}/train-{{000..002}}.tar",
        validation_share=0.25,
        classes=folder.classes if kind == "cls" else None,
        **FIELDS,
    )
    split = data.load(part)
    assert all(map(torch.equal, content(split), content(folder)))
    assert split.classes == folder.classes
    assert len(split.bad) == len(folder.bad)
    if kind == "folders":
        assert split.identifiers() == folder.identifiers()


def test_shards_are_read_by_workers_and_augmented_like_a_folder(every_layout, root):
    folder = ImageFolder(root=f"{every_layout}/photos", validation_share=0.0, **FIELDS).load("train")
    split = WebDataset(
        path=f"{root}/cls/val-000.tar", train=f"{root}/cls/train-{{000..002}}.tar", validation_share=0.0, **FIELDS
    ).load("train")
    options = {"num_workers": 2, "augmentation_seed": 3}
    assert all(map(torch.equal, content(split, **options), content(folder, **options)))


def test_rows_of_an_evaluation_are_those_of_the_folder(every_layout, root):
    model = ws.MLP(hidden=(4,)).build((3, 32, 32), 3, seed=0)
    rows = [
        ws.evaluate(model, data, on=["clean", "contrast/2"], device="cpu").records()
        for data in (
            ImageFolder(root=f"{every_layout}/photos", **FIELDS),
            WebDataset(path=f"{root}/folders/val-{{000..002}}.tar", **FIELDS),
        )
    ]
    assert rows[0] == rows[1]


IMAGE = b"not decoded here"


def load(pack, path, files, **fields):
    pack(path, files)
    return WebDataset(path=str(path), **FIELDS | fields).load("test")


def test_all_shards_of_a_folder_are_read(pack, tmp_path, in_memory):
    for name in ("cat", "dog"):
        pack(tmp_path / f"shards/{name}.tar", [(f"{name}/a.png", IMAGE)])
    (tmp_path / "shards/list.txt").touch()
    for path in (tmp_path / "shards", in_memory(tmp_path / "shards")):
        assert WebDataset(path=str(path)).load("test").files == ["cat/a.png", "dog/a.png"]


def test_numbers_are_the_numbers_of_the_classes(pack, tmp_path):
    files = [("a.png", IMAGE), ("a.cls", b"7"), ("b.png", IMAGE), ("b.json", b'{"label": 10}')]
    split = load(pack, tmp_path / "a.tar", files)
    assert (split.y.tolist(), len(split.classes), split.files) == ([10, 7], 11, ["10/b.png", "7/a.png"])
    split = load(pack, tmp_path / "a.tar", files, num_classes=20)
    assert len(split.classes) == 20


def test_names_of_classes_are_given_or_read(pack, tmp_path):
    files = [("a.png", IMAGE), ("a.cls", b"1"), ("b.png", IMAGE), ("b.cls", b"0")]
    (tmp_path / "names.txt").write_text("pear\n apple \n\n")
    for classes in (("pear", "apple"), str(tmp_path / "names.txt")):
        split = load(pack, tmp_path / "a.tar", files, classes=classes)
        assert (split.classes, split.files, split.y.tolist()) == (
            ("pear", "apple"),
            ["apple/a.png", "pear/b.png"],
            [1, 0],
        )
    words = [("a.png", IMAGE), ("a.cls", b"pear"), ("b.png", IMAGE), ("b.json", b'{"kind": "apple"}')]
    assert load(pack, tmp_path / "b.tar", words, label="kind").y.tolist() == [0, 1]
    assert load(pack, tmp_path / "b.tar", words, label="kind", classes=("pear", "apple")).y.tolist() == [1, 0]


def test_other_members_are_noted_and_hidden_ones_are_not(pack, tmp_path):
    files = [("a.png", IMAGE), ("a.cls", b"1"), ("b.png", IMAGE), ("b.cls", b"0"), ("a.txt", b""), ("._a.png", b"")]
    split = load(pack, tmp_path / "a.tar", files)
    assert len(split) == 2
    assert split.notes == (f"WebDataset: left out in {tmp_path}/a.tar: 1 files without a known image extension.",)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([("a.png", IMAGE)], "class of a.png"),
        ([("../../a/b.png", IMAGE)], "below its folder"),
        ([("/etc/b.png", IMAGE)], "below its folder"),
        ([("a/../../b.png", IMAGE)], "below its folder"),
        ([("a.png", IMAGE), ("a.cls", b".."), ("b.png", IMAGE), ("b.cls", b"x")], "below its folder"),
        ([("a.png", IMAGE), ("a.cls", b"1"), ("a.png", IMAGE)], "twice"),
        ([("a.png", IMAGE), ("a.seg.png", IMAGE), ("a.cls", b"1")], "one image per label"),
        ([("a.png", IMAGE), ("a.cls", b"1"), ("b.png", IMAGE), ("b.cls", b"cat")], "one kind"),
        ([("a.png", IMAGE), ("a.cls", b"")], "whole number"),
        ([("a.png", IMAGE), ("a.cls", b"\xff")], "a.cls"),
        ([("a.png", IMAGE), ("a.json", b"{")], "a.json"),
        ([("a.png", IMAGE), ("a.json", b'{"label": [1]}')], "whole number"),
        ([("a.png", IMAGE), ("a.json", b'{"label": -1}')], "whole number"),
        ([("a.png", IMAGE), ("a.json", b"[" * 100_000)], "a.json"),
        ([("a.png", IMAGE), ("a.cls", b"1" * (1 << 21))], "at most"),
        ([("a.png", IMAGE), ("a.cls", b"999999999"), ("b.png", IMAGE), ("b.cls", b"0")], "not one of"),
        ([("cat/a.png", IMAGE)], "at least two"),
        ([("readme.txt", IMAGE)], "found none"),
    ],
)
def test_what_no_data_set_can_be_is_refused(pack, tmp_path, files, told):
    with pytest.raises(InputError, match=told):
        load(pack, tmp_path / "a.tar", files)


def test_shards_must_be_there_and_differ(pack, tmp_path):
    files = [("cat/a.png", IMAGE), ("dog/a.png", IMAGE)]
    for name in ("0", "1"):
        pack(tmp_path / f"{name}.tar", files)
    for path, told in (("{0..2}.tar", r"2\.tar"), ("{2..1}.tar", "0 from"), ("{0..1}.tar", "differ"), ("", "differ")):
        with pytest.raises(InputError, match=told):
            WebDataset(path=f"{tmp_path}/{path}").load("test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none"):
        WebDataset(path=f"{tmp_path}/empty").load("test")


def test_the_training_part_needs_shards(pack, tmp_path):
    path = pack(tmp_path / "a.tar", [("cat/a.png", IMAGE), ("dog/a.png", IMAGE)])
    with pytest.raises(InputError, match=r"--data\.train"):
        WebDataset(path=str(path)).load("train")


def test_an_index_is_made_once_and_again_when_the_shard_changes(pack, tmp_path, monkeypatch):
    from withstand.data.shards import shard_index

    calls, walk = [], shard_index.walk_members
    monkeypatch.setattr(shard_index, "walk_members", lambda *args: calls.append(1) or walk(*args))
    path = pack(tmp_path / "a.tar", [("cat/a.png", IMAGE), ("caf\udce9/a.png", IMAGE)])
    first = ShardIndex.of("data", path, key="label")
    assert ShardIndex.of("data", path, key="label") == first
    assert len(calls) == 1
    pack(path, [("cat/b.png", IMAGE + IMAGE)])
    os.utime(path, (1, 1))
    assert ShardIndex.of("data", path, key="label").images == (("cat/b.png", 512, 32, None),)
    for each in (tmp_path / "cache/withstand/shards").iterdir():
        each.write_text('{"images": [["x", 1]], "num_others": 0}')
    assert len(ShardIndex.of("data", path, key="label").images) == 1


def test_a_cache_that_cannot_be_written_is_not_used(pack, tmp_path):
    (tmp_path / "cache").write_text("a file")
    path = pack(tmp_path / "a.tar", [("cat/a.png", IMAGE)])
    assert len(ShardIndex.of("data", path, key="label").images) == 1


def test_a_shard_that_vanishes_is_an_error_where_bad_images_are_skipped(pack, tmp_path):
    split = load(pack, tmp_path / "a.tar", [("cat/a.png", IMAGE), ("dog/a.png", IMAGE)])
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(InputError, match="shorter"):
        next(split.batches([torch.arange(2)]))
    (tmp_path / "a.tar").unlink()
    with pytest.raises(InputError, match="vanished"):
        next(split.batches([torch.arange(2)]))


def test_headers_only_are_read_for_an_index(pack, tmp_path, in_memory, monkeypatch):
    from withstand.reading.addresses import Address

    big = os.urandom(1 << 22)
    pack(tmp_path / "shards/a.tar", [("cat/a.png", big), ("dog/a.png", big), ("dog/b.png", big)])
    counts, read = [], Address.read
    monkeypatch.setattr(
        Address, "read", lambda self, start, stop: counts.append(stop - start) or read(self, start, stop)
    )
    WebDataset(path=f"{in_memory(tmp_path / 'shards')}/a.tar").load("test")
    assert sum(counts) < 1 << 19
