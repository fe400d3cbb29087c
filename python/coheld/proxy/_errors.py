class ProxyError(Exception):
    pass


class ProxyObjectNotFound(ProxyError):
    pass


class LimitedProxyChaining(ProxyError):
    def __init__(self, max_level, target_obj=None):
        self.max_level = max_level
        super().__init__(f"Proxy chaining reached the maximum allowed level ({max_level}).")
