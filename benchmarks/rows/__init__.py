"""The rows of the table: one module each, importable without what it measures."""
