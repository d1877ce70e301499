"""The tasks on formal languages. `language` defines when a network accepts a string; one file, one language."""
