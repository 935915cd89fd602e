"""A seeded mutation fuzzer over every door of the program: what it reads, and how it is called."""
