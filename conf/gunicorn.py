"""gunicorn's configuration for the Procfile: all of it is made from the gateway's own settings."""

from falcongate.server.gunicorn_conf import *  # noqa: F403
