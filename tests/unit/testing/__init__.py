"""What the kit for tests of plugins does."""
