"""What gunicorn loads: `falcongate.wsgi:app`."""

from falcongate.app import create_app
from falcongate.config.load import load_adopted, load_process

app = create_app(load_adopted(), load_process())
