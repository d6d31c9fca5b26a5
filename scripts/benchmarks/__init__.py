"""The gateway and its peers on the same work, side by side; see docs/performance.md."""
