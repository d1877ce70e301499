"""The memory tasks: counting, counting selectively, remembering a state, copying."""
