"""Tokens: how programs meet in a shared object that have not started each other."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

import os

from . import _keys
from ._coheld import RebuildProxy, Token
from ._proxies import AutoProxy
from ._sync_manager import SyncManager

#: The variable with the key, in hexadecimal; Rust programs have it from there, too.
_VARIABLE = "COHELD_AUTHKEY"


def from_token(text, authkey=None):
    """The proxy of the object that a token names: see `coheld.from_token`."""
    token = Token.parse(text)
    if authkey is None:
        authkey = _key_of_the_environment()
    keywords = {"lease": True}
    if authkey is not None:
        # Where the proxy goes from here, the key goes along.
        _keys.remember(token.address, authkey)
        keywords["authkey"] = authkey
    entry = SyncManager._registry.get(token.typeid)
    proxytype = entry[3] if entry else AutoProxy
    return RebuildProxy(proxytype, token, "pickle", keywords)


def _key_of_the_environment():
    digits = os.environ.get(_VARIABLE)
    if digits is None:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(
            f"the environment variable {_VARIABLE} is not a key: it has hexadecimal digits in pairs"
        ) from None
