"""How commands look on a terminal. Only here is rich imported: elsewhere nobody sees colours."""
