import json

import pytest

from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.corrupted.corrupted_folder import CorruptedFolder
from withstand.data.images.class_map import ClassMap
from withstand.data.images.image_folder import ImageFolder
from withstand.errors import InputError


def read(tmp_path, content, name="map.txt"):
    (tmp_path / name).write_text(content)
    return ClassMap.read("Who", str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.json", '{"cat": 2, "wild dog": 0}'),
        ("map.txt", "cat 2\n\nwild dog\t0\n"),
        ("map.csv", "cat, 2\r\nwild dog,0\r\n"),
    ],
)
def test_json_text_and_csv_say_the_same(tmp_path, name, content):
    mapped = read(tmp_path, content, name)
    assert mapped.numbers == {"cat": 2, "wild dog": 0}
    assert mapped.names == ("wild dog", "1", "cat")


def test_several_folders_can_be_one_class(tmp_path):
    assert read(tmp_path, "tabby 1\nlynx 1\ndog 0\n").names == ("dog", "lynx / tabby")


def test_the_number_of_classes_may_be_above_the_numbers_of_the_map_and_not_below(tmp_path):
    (tmp_path / "map.txt").write_text("cat 2\ndog 0\n")
    source = str(tmp_path / "map.txt")
    assert ClassMap.read("Who", source, num_classes=5).names == ("dog", "1", "cat", "3", "4")
    assert len(ClassMap.read("Who", source, num_classes=3).names) == 3
    with pytest.raises(InputError, match=r"Who: .*map.txt, line 1: the class of 'cat' must be .* from 0 to 1, got 2"):
        ClassMap.read("Who", source, num_classes=2)


@pytest.mark.parametrize("family", [ImageFolder, CorruptedFolder, CorruptedArrays])
@pytest.mark.parametrize("number", [-1, 0, 1, 100_001])
def test_a_number_of_classes_that_nothing_can_be_told_apart_with_is_refused(family, number):
    with pytest.raises(InputError, match="num_classes must be from 2 to 100,000"):
        family(root="somewhere", num_classes=number)


def test_the_manifest_of_a_copy_gives_numbers_and_names(tmp_path):
    content = {"class_folders": {"bee": 2, "ant": 0}, "classes": ["A", "B", "C"], "seed": 7}
    mapped = read(tmp_path, json.dumps(content), "manifest.json")
    assert mapped.numbers == {"bee": 2, "ant": 0}
    assert mapped.names == ("A", "B", "C")
    for broken in ("{", "[1]", '{"ant": 1}', '{"class_folders": 3, "classes": []}'):
        with pytest.raises(InputError, match=r"Who: .*manifest\.json is damaged"):
            read(tmp_path, broken, "manifest.json")
    for number in (3, -1, "1", True):
        with pytest.raises(InputError, match=r"the class of 'bee' must be a whole number from 0 to 2, got"):
            read(tmp_path, json.dumps(content | {"class_folders": {"bee": number}}), "manifest.json")
    with pytest.raises(InputError, match=r"num_classes must be 3 .*manifest\.json, got 10"):
        ClassMap.read("Who", str(tmp_path / "manifest.json"), num_classes=10)


def test_imagenet_has_1000_classes():
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    assert len(ClassMap.read("Who", "imagenet").names) == 1000
    with pytest.raises(InputError, match="num_classes must be 1,000"):
        ClassMap.read("Who", "imagenet", num_classes=10)


@pytest.mark.parametrize("number", [-1, 1.5, True, None, "1", 100_000, [1]])
def test_json_numbers_that_are_no_class_are_refused(tmp_path, number):
    with pytest.raises(
        InputError, match=r"Who: .*map.json: the class of 'cat' must be a whole number from 0 to 99,999"
    ):
        read(tmp_path, json.dumps({"cat": number}), "map.json")


@pytest.mark.parametrize("number", ["-1", "1.5", "one", "²", "--1", "class"])
def test_text_numbers_that_are_no_class_are_refused_by_line(tmp_path, number):
    with pytest.raises(InputError, match=r"Who: .*map.txt, line 2: the class of 'cat' must be a whole number"):
        read(tmp_path, f"dog 0\ncat {number}\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.json", "{", "is not valid JSON"),
        ("map.json", "[1]", "must be a JSON object"),
        ("map.json", '{"cat": 1, "cat": 2}', "'cat' has two classes, 1 and 2"),
        ("map.txt", "cat\n", "line 1: expected `folder number`, got 'cat'"),
        ("map.txt", "cat 1\ncat 2\n", "line 2: 'cat' has two classes, 1 and 2"),
        ("map.txt", "\n", "must give at least one folder its class"),
        ("map.json", "{}", "must give at least one folder its class"),
    ],
)
def test_files_that_are_no_map_are_refused(tmp_path, name, content, message):
    with pytest.raises(InputError, match=f"Who: .*{name}.*{message}"):
        read(tmp_path, content, name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for source in (tmp_path / "no.txt", tmp_path):
        with pytest.raises(InputError, match=r"Who: class_map must be imagenet, a JSON file or a text file, got"):
            ClassMap.read("Who", str(source))


def test_without_timm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    monkeypatch.setitem(__import__("sys").modules, "timm.data", None)
    with pytest.raises(InputError, match=r"class_map 'imagenet' needs timm, install it with pip install 'withstand\[v"):
        ClassMap.read("Who", "imagenet")


def test_a_torchvision_that_does_not_fit_is_explained(monkeypatch):
    import builtins

    normal = builtins.__import__

    def broken(name, *args, **kwargs):
        if name.startswith("timm"):
            raise RuntimeError("operator torchvision::nms does not exist")
        return normal(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(InputError, match=r"torchvision does not fit the installed torch \(operator torchvision::nms"):
        ClassMap.read("Who", "imagenet")
