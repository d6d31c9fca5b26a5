"""Many hosts with addresses of their own, and a network between them that fails."""
