"""What is shipped, what imports what, and what the metadata says."""
