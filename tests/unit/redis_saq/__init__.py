"""The backend on Redis or Valkey, without one."""
