"""JupyterLab's server, as the course starts it."""

from pathlib import Path

c = get_config()

c.LabApp.custom_css = True
c.ServerApp.tornado_settings = {
    "websocket_max_message_size": 100 * 2**20,  # bytes; a larger message ends the connection
    "static_custom_path": [str(Path(__file__).resolve().parent / "custom")],
}
