"""The documentation: complete, and its examples run."""
