"""The contract of backends, over each that this project has."""
