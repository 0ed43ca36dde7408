"""The network that tells cells from stroma and from what is no tissue: its layers, its file, its predictions."""
