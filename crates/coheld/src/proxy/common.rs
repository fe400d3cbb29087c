//! What all typed proxies have in common.

/// Implements it for one typed proxy, a struct with the field `proxy` and the function `over`,
/// which makes one of a proxy of the right kind.
macro_rules! typed_proxy {
    ($name:ident $(<$($parameter:ident),+>)?) => {
        impl$(<$($parameter),+>)? $name$(<$($parameter),+>)? {
            /// The name of the object, for another process.
            ///
            /// The object stays alive on the way: until the token is used, for some minutes at
            /// most.
            ///
            /// ```
            /// use coheld::{ListProxy, Token};
            ///
            /// let manager = coheld::Manager::start()?;
            /// let list = manager.list::<i64>()?;
            /// // One line of text, which goes to another process in any way.
            /// let text = list.token()?.to_string();
            /// let token: Token = text.parse()?;
            /// let same = ListProxy::<i64>::from_token(&token, manager.authkey())?;
            /// assert_eq!(same, list);
            /// # Ok::<(), coheld::Error>(())
            /// ```
            pub fn token(&self) -> Result<$crate::Token, $crate::Error> {
                self.proxy.token()
            }

            /// The same proxy without its type.
            ///
            /// ```
            /// use coheld::Kind;
            ///
            /// let manager = coheld::Manager::start()?;
            /// let queue = manager.queue::<i64>(0)?;
            /// assert_eq!(queue.as_proxy().kind(), Kind::Queue);
            /// # Ok::<(), coheld::Error>(())
            /// ```
            pub fn as_proxy(&self) -> &$crate::Proxy {
                &self.proxy
            }

            /// Calls a method by its name in Python: see
            /// [`Proxy::call_method`]($crate::Proxy::call_method).
            ///
            /// ```
            /// use coheld::Value;
            ///
            /// let manager = coheld::Manager::start()?;
            /// let list = manager.list::<i64>()?;
            /// list.call_method("extend", &[vec![Value::from(3), Value::from(1)].into()])?;
            /// list.call_method("sort", &[])?;
            /// assert_eq!(list.to_vec()?, [1, 3]);
            /// # Ok::<(), coheld::Error>(())
            /// ```
            pub fn call_method(
                &self,
                name: &str,
                arguments: &[$crate::Value],
            ) -> Result<$crate::Value, $crate::Error> {
                self.proxy.call_method(name, arguments)
            }
        }

        impl$(<$($parameter),+>)? Clone for $name$(<$($parameter),+>)? {
            fn clone(&self) -> Self {
                Self::over(self.proxy.clone())
            }
        }

        impl$(<$($parameter),+>)? PartialEq for $name$(<$($parameter),+>)? {
            /// Whether both name the same object.
            fn eq(&self, other: &Self) -> bool {
                self.proxy == other.proxy
            }
        }

        impl$(<$($parameter),+>)? Eq for $name$(<$($parameter),+>)? {}

        impl$(<$($parameter),+>)? std::fmt::Debug for $name$(<$($parameter),+>)? {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.proxy.fmt(formatter)
            }
        }

        impl$(<$($parameter),+>)? From<$name$(<$($parameter),+>)?> for $crate::Proxy {
            fn from(typed: $name$(<$($parameter),+>)?) -> Self {
                typed.proxy
            }
        }

        impl$(<$($parameter),+>)? From<&$name$(<$($parameter),+>)?> for $crate::Proxy {
            fn from(typed: &$name$(<$($parameter),+>)?) -> Self {
                typed.proxy.clone()
            }
        }

        impl$(<$($parameter),+>)? From<&$name$(<$($parameter),+>)?> for $crate::Value {
            fn from(typed: &$name$(<$($parameter),+>)?) -> Self {
                $crate::Value::Proxy(typed.proxy.clone())
            }
        }

        impl$(<$($parameter),+>)? serde::Serialize for $name$(<$($parameter),+>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::Value::from(self).serialize(serializer)
            }
        }
    };
}

/// Implements `get_lock` for a typed proxy of something that can be worked on in several steps.
macro_rules! lockable {
    ($name:ident $(<$($parameter:ident),+>)?) => {
        impl$(<$($parameter),+>)? $name$(<$($parameter),+>)? {
            /// The lock that belongs to the object, the same for everybody, for what takes several
            /// steps. It keeps nobody from working on the object without it.
            ///
            /// ```
            /// use coheld::Manager;
            ///
            /// let manager = Manager::start()?;
            /// let list = manager.list::<i64>()?;
            /// let lock = list.get_lock()?;
            /// let guard = lock.lock()?;
            /// if list.is_empty()? {
            ///     list.append(&1)?;
            /// }
            /// drop(guard);
            /// # Ok::<(), coheld::Error>(())
            /// ```
            pub fn get_lock(&self) -> Result<$crate::RLockProxy, $crate::Error> {
                self.proxy.get_lock()
            }
        }
    };
}

/// Implements the ways back from an untyped proxy, for proxies that only have to be of their kind,
/// or of one of their kinds.
macro_rules! typed_by_kind {
    ($name:ident $(<$($parameter:ident),+>)?, $($kind:expr),+) => {
        impl$(<$($parameter),+>)? TryFrom<$crate::Proxy> for $name$(<$($parameter),+>)? {
            type Error = $crate::Error;

            fn try_from(proxy: $crate::Proxy) -> Result<Self, $crate::Error> {
                proxy.expect(&[$($kind),+]).map(Self::over)
            }
        }

        $crate::proxy::common::deserialize_proxy!([$($($parameter),+)?] $name$(<$($parameter),+>)?);
    };
}

/// Implements getting a proxy by a token, and reading it out of a shared object.
macro_rules! deserialize_proxy {
    ([$($bound:tt)*] $name:ty) => {
        impl<$($bound)*> $name {
            /// The object that a token names. Attaches to its manager first, if need be.
            ///
            /// ```
            /// use coheld::{DictProxy, LockProxy};
            ///
            /// let manager = coheld::Manager::start()?;
            /// let dict = manager.dict::<String, i64>()?;
            /// let key = manager.authkey();
            /// assert_eq!(DictProxy::from_token(&dict.token()?, key)?, dict);
            /// assert!(LockProxy::from_token(&dict.token()?, key).is_err(), "it is no lock");
            /// # Ok::<(), coheld::Error>(())
            /// ```
            pub fn from_token(
                token: &$crate::Token,
                authkey: &[u8],
            ) -> Result<Self, $crate::Error> {
                Self::try_from($crate::Proxy::from_token(token, authkey)?)
            }
        }

        impl<'de, $($bound)*> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                use serde::de::Error as _;
                match $crate::Value::deserialize(deserializer)? {
                    $crate::Value::Proxy(proxy) => {
                        Self::try_from(proxy).map_err(D::Error::custom)
                    }
                    other => Err(D::Error::custom(format_args!(
                        "expected a shared object, found {}",
                        other.type_name()
                    ))),
                }
            }
        }
    };
}

pub(super) use {deserialize_proxy, lockable, typed_by_kind, typed_proxy};
