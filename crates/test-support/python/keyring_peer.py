"""The commands of peer.py at a store that libsecret keeps, and the store's text as it is there."""

import sys

import peer
from azure.identity import TokenCachePersistenceOptions
from azure.identity._persistent_cache import _load_persistent_cache
from msal_extensions import LibsecretPersistence


def open_cache(cae):
    """The store as azure-identity opens it where plain text is forbidden."""
    cache = _load_persistent_cache(TokenCachePersistenceOptions(), cae)
    if not isinstance(cache._persistence, LibsecretPersistence):
        raise RuntimeError(f"{type(cache._persistence).__name__} has the store")
    return cache


peer.open_cache = open_cache
if __name__ == "__main__":
    sys.exit(peer.main())
