//! Damaged segments: an error or a value, never a panic, a hang, a wild read or memory beyond
//! measure.
//!
//! A *scene* is the image of a segment in the middle of its life, with members that live and
//! members that died. A *damage* is a few of its bytes changed, anywhere. An *exercise* attaches to
//! the damaged image and does with it whatever a member can do. Seed and number of a round name its
//! damage, so a round can be done again alone.

mod containers;
pub mod damage;
mod exercise;
pub mod round;
pub mod scene;
mod stage;

pub use self::damage::Damage;
pub use self::round::{Failure, Report, Runner};
pub use self::scene::Scene;
