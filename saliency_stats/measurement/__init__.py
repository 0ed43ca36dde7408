"""One batch of patches: from pixels to the rows of the tables."""
