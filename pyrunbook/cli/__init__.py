"""The command line: click, one module a command, no logic of its own."""
