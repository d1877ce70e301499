"""The memory tasks: count, count selectively, remember a state, copy."""
