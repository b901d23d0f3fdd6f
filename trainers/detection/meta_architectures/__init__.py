"""One file a meta-architecture, and the contract they keep."""
