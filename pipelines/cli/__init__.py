"""The hardmine command: one file a sub-command, imported only when called."""
