"""What JupyterHub must know of the course. On The Littlest JupyterHub, copy this file to
`/opt/tljh/config/jupyterhub_config.d/`; elsewhere, load it from your own configuration.

`SDLEARN_COURSE` in the hub's environment says where the course is, if not in `/srv/sdlearn`.
"""

import os
from pathlib import Path

course = Path(os.environ.get("SDLEARN_COURSE", "/srv/sdlearn"))
c = get_config()

c.Spawner.cmd = [str(course / ".venv/bin/python"), str(course / "deploy/learner.py")]
c.Spawner.start_timeout = 180  # thirty people press the button at once
c.Spawner.http_timeout = 120
