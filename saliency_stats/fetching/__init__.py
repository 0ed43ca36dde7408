"""Weights and public data from the network: listed, downloaded with resume, and named only after they are checked."""
