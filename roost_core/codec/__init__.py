"""Models as JSON bytes, and back, and the checks at that boundary."""
