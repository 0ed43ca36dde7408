"""The classifier whose decisions are explained: its network, its training, its accuracy."""
