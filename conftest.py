"""What a plain installation cannot import is not looked through for examples: Azure's SDKs and OpenTelemetry's are
extras of the package, and the library of the tests' broker is a group of its own. The tests that need them skip by
themselves.
"""

from importlib.util import find_spec

collect_ignore: list[str] = []
if find_spec("azure") is None:
    collect_ignore += ["src/diamond_opus/queue/service_bus.py", "src/diamond_opus/watermark/blob.py"]
if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
    collect_ignore += ["src/diamond_opus/observability/otlp.py", "tests/otlp_receiver.py"]
if find_spec("proton") is None:
    collect_ignore += ["tests/service_bus_broker"]
