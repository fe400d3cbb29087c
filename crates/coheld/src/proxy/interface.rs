//! What is known of a hosted object beside its place.

use std::fmt;

/// The name of the type of a hosted object, and the names of its methods.
///
/// A proxy that has one takes it along to wherever it goes, so that Python makes a proxy with these
/// methods of it.
///
/// ```
/// struct Clock;
///
/// #[coheld::expose]
/// impl Clock {
///     pub fn seconds(&self) -> u64 {
///         7
///     }
/// }
///
/// use coheld::ExposedProxy as _;
///
/// let manager = coheld::Manager::start()?;
/// let clock = manager.share(Clock)?;
/// let interface = clock.as_proxy().interface().unwrap();
/// assert_eq!((interface.name(), interface.methods()), ("Clock", &["seconds".to_owned()][..]));
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: String,
    methods: Vec<String>,
}

/// The name that all proxies of iterators have in common.
pub(crate) const ITERATOR: &str = "Iterator";

impl Interface {
    /// The interface of a type with these methods.
    ///
    /// ```
    /// use coheld::Interface;
    ///
    /// let interface = Interface::new("Clock", ["seconds", "reset"]);
    /// assert_eq!(interface.to_string(), "Clock");
    /// assert_eq!(interface.methods(), ["seconds", "reset"]);
    /// ```
    pub fn new(name: impl Into<String>, methods: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            name: name.into(),
            methods: methods.into_iter().map(Into::into).collect(),
        }
    }

    /// The name of the type.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the methods.
    #[must_use]
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The first of these methods that it does not have.
    pub(crate) fn lacks<'m>(&self, methods: &[&'m str]) -> Option<&'m str> {
        let mut methods = methods.iter().copied();
        methods.find(|method| !self.methods.iter().any(|known| known == method))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
