"""What every task is made of: the protocol, strings and files."""
