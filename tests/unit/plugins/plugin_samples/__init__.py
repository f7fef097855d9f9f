"""What the tests of plugins share."""
