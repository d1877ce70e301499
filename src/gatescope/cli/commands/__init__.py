"""The commands: one file each, one library call."""
