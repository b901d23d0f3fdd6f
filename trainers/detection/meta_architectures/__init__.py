"""One file a meta-architecture, the contract they keep, and the layers they share."""
