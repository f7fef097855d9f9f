"""How figures are shown: as tables for the terminal and for pages, and as pictures."""
