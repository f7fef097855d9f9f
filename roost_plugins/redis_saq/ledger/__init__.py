"""The ledger of one queue on Redis or Valkey."""
