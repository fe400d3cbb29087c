"""What of an object others may use: decided by its owner."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from ._special import ALWAYS, CHANGING, INFORMATION, is_special


class Exposure:
    """Which names of an object may be used from other processes, and for what."""

    __slots__ = ("names", "readonly")

    def __init__(self, names=None, readonly=False):
        if isinstance(names, str):
            raise TypeError("exposed= takes the names one by one: ['name'], not 'name'")
        self.names = None if names is None else frozenset(names)
        for name in self.names or ():
            if not isinstance(name, str):
                raise TypeError(f"exposed= takes names of attributes, not {name!r}")
        self.readonly = bool(readonly)

    def allows(self, name, operation="get"):
        """Whether the name may be used; *operation* is ``get``, ``call``, ``set``, ``delete``."""
        if self._protects(name, operation):
            return False
        if self.names is not None:
            return name in self.names or name in ALWAYS or name in INFORMATION
        return not name.startswith("_") or is_special(name)

    def refusal(self, target, name, operation):
        """Return the exception for a name that is not allowed."""
        what = f"{type(target).__name__!r} object: attribute {name!r}"
        doing = "read" if operation == "get" else operation
        if self._protects(name, operation):
            why = "its owner has shared it with readonly=True"
        elif self.names is not None:
            shown = ", ".join(sorted(self.names)) or "nothing"
            why = f"its owner has exposed only: {shown}"
        else:
            why = (
                "names that begin with '_' are not exposed, except for special methods; the owner "
                f"may name it in create_proxy(..., exposed=[{name!r}, ...])"
            )
        return AttributeError(f"cannot {doing} {what} through a proxy: {why}")

    def _protects(self, name, operation):
        """Whether it is refused because it would change the object."""
        return self.readonly and (operation in ("set", "delete") or name in CHANGING)

    def derived(self):
        """What holds for the objects that an object with this exposure gives away."""
        return READONLY if self.readonly else OPEN


#: What holds if the owner says nothing.
OPEN = Exposure()
READONLY = Exposure(readonly=True)
