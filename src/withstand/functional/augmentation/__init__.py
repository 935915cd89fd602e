"""Operations and random numbers of augmentations."""
