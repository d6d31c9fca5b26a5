"""The page for operators as a browser meets it: a gateway that plays its doors, and visits by Chromium."""
