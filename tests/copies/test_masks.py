import numpy as np
import pytest
from PIL import Image

from withstand.copies.masks import is_mask

LEVELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def ask(folder, file, patterns=("auto",), *, image=None, depth=8):
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(np.dstack([LEVELS] * 3)) if image is None else image).save(path)
    return is_mask(folder, file, patterns, depth=depth)


@pytest.mark.parametrize(
    "file",
    [
        "SegmentationClass/1.png",
        "VOC2012/SegmentationObject/1.png",
        "masks/1.png",
        "train_masks/1.tif",
        "data/labels/train/1.png",
        "annotations/trimaps/1.png",
        "gtFine/val/city/1_color.png",
        "gt_image_2/1.bmp",
        "ground_truth/1.png",
        "photos/1_mask.png",
        "photos/1_seg.PNG",
    ],
)
def test_names_of_common_data_sets_are_masks(tmp_path, file):
    assert ask(tmp_path, file)
    assert not ask(tmp_path, file, ("none",))


@pytest.mark.parametrize(
    "file",
    ["JPEGImages/1.png", "images/1.jpg", "masks/1.jpg", "with_mask/1.png", "maskwearers/1.png", "gtr/1.png", "1.png"],
)
def test_photographs_are_not(tmp_path, file):
    assert not ask(tmp_path, file)


def test_png_files_whose_pixels_are_labels_are_masks_wherever_they_lie(tmp_path):
    labels = {
        "palette": Image.fromarray(LEVELS).convert("P"),
        "bits": Image.fromarray(LEVELS > 9),
        "deep": Image.fromarray(LEVELS.astype(np.uint16)),
    }
    for name, image in labels.items():
        assert ask(tmp_path, f"photos/{name}.png", image=image)
    assert not ask(tmp_path, "photos/deep.png", image=labels["deep"], depth=16)
    assert not ask(tmp_path, "photos/palette.png", ("none",), image=labels["palette"])
    for mode in ("L", "RGBA", "LA"):
        assert not ask(tmp_path, f"photos/{mode}.png", image=Image.fromarray(LEVELS).convert(mode))
    (tmp_path / "photos" / "empty.png").write_bytes(b"")
    assert not is_mask(tmp_path, "photos/empty.png", ("auto",), depth=8)
    assert not is_mask(tmp_path, "photos/nowhere.png", ("auto",), depth=8)


def test_own_patterns_replace_or_extend_the_known_names(tmp_path):
    assert ask(tmp_path, "Targets/1.jpg", ("targets",))
    assert ask(tmp_path, "a/1_depth.png", ("other", "*_depth"))
    assert not ask(tmp_path, "masks/1.png", ("targets",))
    assert ask(tmp_path, "masks/1.png", ("targets", "auto"))
