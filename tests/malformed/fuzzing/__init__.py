"""A seeded mutation fuzzer over every door (entry point) of the program: files, options and function arguments."""
