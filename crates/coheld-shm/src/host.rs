//! How the surrounding program waits: the Python binding lets go of the interpreter here.

/// What a language runtime wants to know when a thread is about to sleep in the segment.
///
/// Called on slow paths only. The default (no host) just sleeps.
pub trait Host: Sync {
    /// Runs `wait`, which sleeps for some milliseconds, with the runtime released, if there is
    /// anything to release.
    fn block(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    /// Whether the calling thread has to leave its wait (an exception is pending).
    ///
    /// When true the operation returns [`crate::Error::Interrupted`] with nothing changed.
    fn interrupted(&self) -> bool;
}
