"""Weights and public data from the network: listed, loaded with resume, checked, and only then named as complete."""
