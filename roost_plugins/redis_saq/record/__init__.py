"""The stored record of a work item: its fields, and what is read from the scripts' answers."""
