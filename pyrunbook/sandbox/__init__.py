"""A small Agent Factory service on this machine: real processes under supervisor behind a real Caddy, on loopback."""
