"""The parts of every task: the protocol, task.json, strings and files."""
