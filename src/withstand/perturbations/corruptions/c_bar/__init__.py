"""The 15 corruptions of ImageNet-C-bar and CIFAR-10-C-bar, one per file."""
