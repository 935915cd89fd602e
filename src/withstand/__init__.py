"""Train classifiers that withstand noise, corruption and shift, and measure how much."""
