"""The calculus of the studies: Jacobians, their products, back-propagation."""
