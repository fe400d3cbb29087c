"""The caller's side: what a proxy does with the reference that it has."""

# What programs see of it is typed in the stubs beside.
# mypy: ignore-errors

from multiprocessing.managers import RemoteError

from .._coheld import call_limit
from ..errors import CallTimeout, ManagerGone
from ._carriage import (
    PLAIN,
    SELF,
    Failure,
    MethodOf,
    Pickled,
    outgoing_pickle,
    stays,
    take_interrupt,
)
from ._errors import LimitedProxyChaining, ProxyError, closed_here
from ._owner import callback_domain
from ._remote import remote_exception


class Link:
    """A reference to an object, and how far it is from one that was shared by its owner."""

    __slots__ = ("level", "limit", "reference")

    def __init__(self, reference, level=0, limit=None):
        #: None: closed in this process.
        self.reference = reference
        self.level = level
        #: Most levels; None: as many as there are.
        self.limit = limit

    def get(self, proxy, name):
        return self._ask(proxy, "get", (name,))

    def set(self, proxy, name, value):
        self._ask(proxy, "set", (name, self._passed(value)))

    def delete(self, proxy, name):
        self._ask(proxy, "delete", (name,))

    def call(self, proxy, name, args, kwargs):
        for value in args:
            if type(value) not in PLAIN:
                args = map(self._passed, args)
                break
        if kwargs:
            kwargs = {key: self._passed(value) for key, value in kwargs.items()}
        return self._ask(proxy, "call", (name, *args), kwargs)

    def special(self, proxy, name, args=(), kwargs=None):
        if kwargs:
            kwargs = {key: self._passed(value) for key, value in kwargs.items()}
        return self._ask(proxy, "special", (name, *map(self._passed, args)), kwargs)

    def of_method(self, proxy, name, attribute):
        """An attribute of a method; without one, its text."""
        return self._ask(proxy, "of_method", (name, attribute))

    def about(self, proxy):
        """The id of the object in its process, and its text."""
        return self._ask(proxy, "about", ())

    def block(self, proxy, is_wanted):
        """The name of the block through which the object can be used in frames."""
        return self._ask(proxy, "block", (is_wanted,))

    def within(self, seconds, operation, *args):
        """Do something that may take some seconds only; None: any time."""
        if seconds is None:
            return operation(*args)
        before = call_limit(seconds)
        try:
            return operation(*args)
        except CallTimeout:
            raise TimeoutError(
                f"Request timed out: Got no response in {seconds:.2f} seconds."
            ) from None
        finally:
            call_limit(before)

    def take(self, proxy, count):
        """Return items of an iterator, and the exception after them."""
        items, failure = self._ask(proxy, "take", (count,))
        items = [item if type(item) in PLAIN else self._arrive(proxy, item) for item in items]
        return items, failure and failure.exception()

    def begin(self, proxy, name, args, kwargs, inbox, key):
        """Have something begun whose outcome comes through a queue."""
        args = map(self._passed, args)
        self._ask(proxy, "begin", (name, inbox, key, *args), kwargs)

    def cancel(self, proxy, key):
        """Have something ended that was begun."""
        self._ask(proxy, "cancel", (key,))

    def arrived(self, proxy, answer):
        """What an outcome stands for."""
        return answer if type(answer) in PLAIN else self._arrive(proxy, answer)

    def reference_or_closed(self):
        """The reference; a `ProxyError` if there is none any more."""
        if self.reference is None:
            raise closed_here()
        return self.reference

    def _ask(self, proxy, operation, args, kwargs=None):
        # One message, flat: nested containers would have to be pickled.
        reference = self.reference or self.reference_or_closed()
        try:
            answer = reference._callmethod(operation, args, kwargs)
        except (ManagerGone, RemoteError) as error:
            raise _unanswered(error) from None
        except Exception:
            # Encoding comes before sending: if that has failed, nothing was sent.
            replaced = self._replaced(args, kwargs or {})
            if replaced is None:
                raise
            try:
                answer = reference._callmethod(operation, *replaced)
            except (ManagerGone, RemoteError) as error:
                raise _unanswered(error) from None
        return answer if type(answer) in PLAIN else self._arrive(proxy, answer)

    def _arrive(self, proxy, answer):
        kind = type(answer)
        if kind is Pickled:
            return answer.value()
        if kind is Failure:
            interrupt = take_interrupt(answer)
            raise answer.exception() if interrupt is None else interrupt
        if answer is SELF:
            return proxy
        from ._proxy import Method, link_of

        if kind is MethodOf:
            return Method(proxy, answer.name)
        link = link_of(answer)
        if link is not None and link.level == 0:
            link.limit = self.limit
            link.level = self.level + 1
            if self.limit is not None and link.level > self.limit:
                description = f"<[Proxy {_text(answer)}]>"
                raise LimitedProxyChaining(self.limit, description)
        return answer

    def _passed(self, value):
        """An argument as it is passed: a proxy for what must not be copied."""
        if type(value) in PLAIN or not stays(value):
            return value
        return callback_domain(self.reference_or_closed()).proxy_of(value)

    def _replaced(self, args, kwargs):
        """The arguments with proxies for those that do not pickle; None if all of them do."""
        found = False

        def replace(value):
            nonlocal found
            if type(value) in PLAIN or outgoing_pickle(value) is not None:
                return value
            found = True
            return callback_domain(self.reference).proxy_of(value)

        args = tuple(map(replace, args))
        kwargs = {key: replace(value) for key, value in kwargs.items()}
        return (args, kwargs) if found else None


def _unanswered(error):
    """What is raised when a call has got no answer of the object."""
    if isinstance(error, ManagerGone):
        return remote_exception(error)
    return ProxyError(f"the owner of the object could not answer: {error}")


def _text(proxy):
    try:
        return str(proxy)
    except Exception:
        return type(proxy).__name__
