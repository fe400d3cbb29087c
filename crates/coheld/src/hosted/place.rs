//! Where a host is.

/// A host: its inbox, and the member that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostPlace {
    /// Offset of the inbox.
    pub inbox: u64,
    /// Generation of the inbox.
    pub generation: u32,
    /// Tag of the member.
    pub tag: u32,
}
