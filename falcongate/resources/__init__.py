"""The doors, one Falcon resource a file; they order the steps and hold no rule."""
