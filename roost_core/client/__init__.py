"""What a program does with a queue: enqueue, read, wait."""
