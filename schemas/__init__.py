"""What crosses a process boundary: records, configs, gates and manifests."""
