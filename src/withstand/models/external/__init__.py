"""Models from outside the package: code, exported files and folders of other libraries."""
