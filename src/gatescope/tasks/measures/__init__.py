"""How good a network is, and what it has to beat."""
