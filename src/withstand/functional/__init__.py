"""Pure tensor arithmetic with none of the package's objects in it."""
