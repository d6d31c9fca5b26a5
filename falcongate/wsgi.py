"""What gunicorn loads: `falcongate.wsgi:app`."""

from falcongate.app import create_app
from falcongate.config.load import load

app = create_app(load())
