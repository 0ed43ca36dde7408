"""Patches of whole-slide images: listing, reading, annotations, tiling."""
