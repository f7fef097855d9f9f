"""An older and a newer Roost on one queue."""
