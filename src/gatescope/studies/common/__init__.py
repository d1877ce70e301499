"""What the studies share: tables, steps, losses, scores, chance."""
