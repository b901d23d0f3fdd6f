"""Context models for entropy coding, fitted to photographs."""
