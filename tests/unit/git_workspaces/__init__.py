"""A folder of its own for each work item, from a git repository."""
