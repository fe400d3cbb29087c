//! One operation of a child process, step by step.

use std::collections::HashSet;
use std::io;

use crate::{
    image::{Hot, Image, Watch},
    step::{Child, Step},
};

/// Steps after which an operation counts as endless.
const STEP_LIMIT: u64 = 3_000_000;
/// Steps after which all of the memory is looked at, not only what is known to be written.
const THOROUGH: u64 = 1024;
/// How often a walk is begun anew because it turned out to write something else as well.
const ATTEMPTS: usize = 20;

/// What a walk has seen.
pub(crate) struct Walk {
    /// Instructions of the operation, or stores if those are its steps.
    pub steps: u64,
    /// The different images, each with the number of steps before it. The first one is from
    /// before the operation.
    pub points: Vec<(u64, Image)>,
    /// The image after the operation.
    pub last: Image,
}

/// Walks the operation of the child that `start` starts, on memory that `start` prepares.
///
/// `bytes` is the memory; it is only called while the child is stopped or gone.
pub(crate) fn walk<'m>(
    base: &Image,
    hot: &mut Hot,
    bytes: impl Fn() -> &'m [u8],
    start: impl Fn() -> io::Result<Child>,
) -> io::Result<Walk> {
    for _ in 0..ATTEMPTS {
        if let Some(walk) = attempt(base, hot, &bytes, start()?)? {
            return Ok(walk);
        }
    }
    Err(io::Error::other("it writes somewhere else each time"))
}

/// `None` if something was written where nobody had looked.
fn attempt<'m>(
    base: &Image,
    hot: &mut Hot,
    bytes: &impl Fn() -> &'m [u8],
    mut child: Child,
) -> io::Result<Option<Walk>> {
    let mut watch = Watch::begin(base, bytes());
    let mut seen = HashSet::from([watch.image.digest()]);
    let mut points = vec![(0, watch.image.clone())];
    let mut steps = 0;
    loop {
        match child.step()? {
            Step::Stepped => steps += 1,
            Step::Stopped => break,
            Step::Ended(status) => {
                return Err(io::Error::other(format!(
                    "the child ended: status {status}"
                )));
            }
        }
        if steps > STEP_LIMIT {
            return Err(io::Error::other("the operation does not end"));
        }
        if watch.has_changed(bytes(), hot) && seen.insert(watch.image.digest()) {
            points.push((steps, watch.image.clone()));
        }
        if steps % THOROUGH == 0 && watch.missed_any(bytes(), hot) {
            return Ok(None);
        }
    }
    if watch.missed_any(bytes(), hot) {
        return Ok(None);
    }
    if !child.finish()? {
        return Err(io::Error::other("the operation failed in the child"));
    }
    let walk = Walk {
        steps,
        points,
        last: watch.image,
    };
    Ok(Some(walk))
}
