"""The network that tells tissue of cells from stroma and from what is no tissue: its layers, its file, its predictions."""
