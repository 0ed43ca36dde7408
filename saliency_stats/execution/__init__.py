"""How the work is done: engines that map units of work, atomic storage that can be resumed, the manifest."""
