"""How the models that ship with the package are made, and what their cards say."""
