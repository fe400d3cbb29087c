//! The kinds of shared objects.

use std::fmt;

use coheld_store::kinds::referent;

/// What a shared object is.
///
/// ```
/// use coheld::Kind;
///
/// let manager = coheld::Manager::start()?;
/// let lock = manager.rlock()?;
/// assert_eq!(lock.as_proxy().kind(), Kind::RLock);
/// assert_eq!(Kind::RLock.to_string(), "RLock");
/// # Ok::<(), coheld::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `list`.
    List,
    /// `dict`.
    Dict,
    /// `set`.
    Set,
    /// `Namespace`.
    Namespace,
    /// `Value`.
    Value,
    /// `Array`.
    Array,
    /// `Lock`.
    Lock,
    /// `RLock`.
    RLock,
    /// `Semaphore`.
    Semaphore,
    /// `BoundedSemaphore`.
    BoundedSemaphore,
    /// `Event`.
    Event,
    /// `Condition`.
    Condition,
    /// `Barrier`.
    Barrier,
    /// `Queue`.
    Queue,
    /// `JoinableQueue`.
    JoinableQueue,
    /// An object of any type of Python or of a Rust program, which lives in one process.
    Hosted,
}

impl Kind {
    /// Every kind.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// assert!(Kind::ALL.iter().any(|kind| kind.typeid() == "Queue"));
    /// ```
    pub const ALL: [Self; 16] = [
        Self::List,
        Self::Dict,
        Self::Set,
        Self::Namespace,
        Self::Value,
        Self::Array,
        Self::Lock,
        Self::RLock,
        Self::Semaphore,
        Self::BoundedSemaphore,
        Self::Event,
        Self::Condition,
        Self::Barrier,
        Self::Queue,
        Self::JoinableQueue,
        Self::Hosted,
    ];

    /// The kind with this number in the segment.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// for kind in Kind::ALL {
    ///     assert_eq!(Kind::from_number(kind.number()), Some(kind));
    /// }
    /// assert_eq!(Kind::from_number(0), None);
    /// ```
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            referent::LIST => Some(Self::List),
            referent::DICT => Some(Self::Dict),
            referent::SET => Some(Self::Set),
            referent::NAMESPACE => Some(Self::Namespace),
            referent::VALUE => Some(Self::Value),
            referent::ARRAY => Some(Self::Array),
            referent::LOCK => Some(Self::Lock),
            referent::RLOCK => Some(Self::RLock),
            referent::SEMAPHORE => Some(Self::Semaphore),
            referent::BOUNDED_SEMAPHORE => Some(Self::BoundedSemaphore),
            referent::EVENT => Some(Self::Event),
            referent::CONDITION => Some(Self::Condition),
            referent::BARRIER => Some(Self::Barrier),
            referent::QUEUE => Some(Self::Queue),
            referent::JOINABLE_QUEUE => Some(Self::JoinableQueue),
            referent::HOSTED => Some(Self::Hosted),
            _ => None,
        }
    }

    /// Its number in the segment.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// let manager = coheld::Manager::start()?;
    /// let token = manager.event()?.token()?;
    /// assert_eq!(token.kind, Kind::Event.number());
    /// # Ok::<(), coheld::Error>(())
    /// ```
    pub const fn number(self) -> u8 {
        match self {
            Self::List => referent::LIST,
            Self::Dict => referent::DICT,
            Self::Set => referent::SET,
            Self::Namespace => referent::NAMESPACE,
            Self::Value => referent::VALUE,
            Self::Array => referent::ARRAY,
            Self::Lock => referent::LOCK,
            Self::RLock => referent::RLOCK,
            Self::Semaphore => referent::SEMAPHORE,
            Self::BoundedSemaphore => referent::BOUNDED_SEMAPHORE,
            Self::Event => referent::EVENT,
            Self::Condition => referent::CONDITION,
            Self::Barrier => referent::BARRIER,
            Self::Queue => referent::QUEUE,
            Self::JoinableQueue => referent::JOINABLE_QUEUE,
            Self::Hosted => referent::HOSTED,
        }
    }

    /// The name under which Python's `SyncManager` makes it. Hosted objects have the names under
    /// which programs register them; this one stands for all of those.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// assert_eq!((Kind::List.typeid(), Kind::Namespace.typeid()), ("list", "Namespace"));
    /// ```
    pub const fn typeid(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Dict => "dict",
            Self::Set => "set",
            Self::Namespace => "Namespace",
            Self::Value => "Value",
            Self::Array => "Array",
            Self::Lock => "Lock",
            Self::RLock => "RLock",
            Self::Semaphore => "Semaphore",
            Self::BoundedSemaphore => "BoundedSemaphore",
            Self::Event => "Event",
            Self::Condition => "Condition",
            Self::Barrier => "Barrier",
            Self::Queue => "Queue",
            Self::JoinableQueue => "JoinableQueue",
            Self::Hosted => "hosted object",
        }
    }

    /// The name of the class of its proxies in Python.
    ///
    /// ```
    /// use coheld::Kind;
    ///
    /// assert_eq!(Kind::Dict.proxy_name(), "DictProxy");
    /// assert_eq!(Kind::Lock.proxy_name(), Kind::Semaphore.proxy_name());
    /// ```
    pub const fn proxy_name(self) -> &'static str {
        match self {
            Self::List => "ListProxy",
            Self::Dict => "DictProxy",
            Self::Set => "SetProxy",
            Self::Namespace => "NamespaceProxy",
            Self::Value => "ValueProxy",
            Self::Array => "ArrayProxy",
            Self::Lock | Self::RLock | Self::Semaphore | Self::BoundedSemaphore => "AcquirerProxy",
            Self::Event => "EventProxy",
            Self::Condition => "ConditionProxy",
            Self::Barrier => "BarrierProxy",
            Self::Queue => "AutoProxy[Queue]",
            Self::JoinableQueue => "AutoProxy[JoinableQueue]",
            Self::Hosted => "BaseProxy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.typeid())
    }
}
