from tests.runtimes.caching import cache  # noqa: F401
