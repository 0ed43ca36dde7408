"""Light through a section: optical density, the colour of the glass, and where there is tissue."""
