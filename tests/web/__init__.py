"""The tests of the page in a real browser."""
