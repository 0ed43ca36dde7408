"""How the work is done: engines that map batches of patches, atomic storage that can be resumed, the manifest."""
