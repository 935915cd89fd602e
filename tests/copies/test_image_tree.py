import pytest
from PIL import Image

from withstand.copies.image_tree import ImageTree
from withstand.data.images.image_folder import ImageFolder


def grow(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40)).save(root / file) if file.endswith("png") else (root / file).touch()


def test_class_folders_are_numbered_as_image_folder_does(tmp_path):
    grow(tmp_path, "a/2.png", "a/1.png", "a-b/1.png", "a/x/1.png", "b/1.png")
    tree = ImageTree(path=str(tmp_path), pixels=32, resize=32).load("test")
    folder = ImageFolder(root=str(tmp_path), pixels=32, resize=32).load("test")
    assert (tree.files, tree.classes, tree.y.tolist()) == (folder.files, folder.classes, folder.y.tolist())


@pytest.mark.parametrize("pixels", [None, 32])
def test_files_are_listed_once_by_what_they_are(tmp_path, pixels):
    grow(tmp_path, "1.png", "a/1.png", "masks/1.png", "boxes.json", ".hidden.png")
    found = ImageTree(path=str(tmp_path), pixels=pixels).listing()
    masks = ["masks/1.png"] if pixels is None else []
    assert found.masks == masks
    assert found.others == ["boxes.json"]
    assert found.images == [each for each in ["1.png", "a/1.png", "masks/1.png"] if each not in masks]
