"""What programs do with a queue."""
