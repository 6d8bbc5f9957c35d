"""A plan that is too long for one run: cut into shares, carried out by several runs, read from the lake."""
