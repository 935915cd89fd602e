"""The corruptions of ImageNet-C, one file each."""
