"""Synthetic tissue in which the answer is known, as patches and as slides."""
