"""Exit code 0 if this container's process answers /health. The argument names the variable that has its port."""

import http.client
import os
import sys

# By hand, because urllib would ask a proxy of the environment for this address too.
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ[sys.argv[1]]), timeout=4)
try:
    connection.request("GET", "/health")
    status = connection.getresponse().status
except OSError as error:
    sys.exit(f"no answer: {error}")
if status != http.HTTPStatus.OK:
    sys.exit(f"answered {status}")
