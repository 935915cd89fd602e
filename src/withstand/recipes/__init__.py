"""The papers' experiments and the quickstart, as YAML files that `--config NAME` reads."""
