"""What the commands check, explain, segment and init do."""
