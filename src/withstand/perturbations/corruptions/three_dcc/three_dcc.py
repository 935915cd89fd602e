"""ThreeDCC: what the corruptions of 3DCC share."""

from dataclasses import dataclass

from withstand.perturbations.base import Corruption


@dataclass(frozen=True, kw_only=True)
class ThreeDCC(Corruption):
    """A corruption of 3D Common Corruptions (ImageNet-3DCC) that needs neither depth nor a video encoder.

    Nothing depends on the size of the image, for which `pixels` is only the published one.

    Source:
        Kar, Yeo, Atanov, Zamir: "3D Common Corruptions and Data Augmentation", CVPR 2022, arXiv 2203.01441: the rules
        and their numbers only, not the code.
        Differs: draws do not depend on the image, as for shot noise; images are not saved as JPEG files.
    """
