"""The contract of backends, run over each backend of this project."""
