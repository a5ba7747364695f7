"""What the application needs from outside: one port a file, with its failures."""
