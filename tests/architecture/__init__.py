"""What the repository promises about itself, compared with what it is."""
