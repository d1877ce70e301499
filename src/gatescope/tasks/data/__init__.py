"""Readers of the files that people have: tables, JSON lines, tokens and corpora, with every fault by its line."""
