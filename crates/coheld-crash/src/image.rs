//! What a segment holds at one moment, kept as the pages in which it differs from a base, and
//! noticing that it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// Bytes that are compared and kept as one.
const PAGE: usize = 4096;

/// The content of a segment. Images of one base can be compared by their digest.
#[derive(Clone)]
pub struct Image {
    base: Rc<[u8]>,
    pages: BTreeMap<usize, Page>,
}

#[derive(Clone)]
struct Page {
    content: Rc<[u8]>,
    hash: u64,
}

impl Image {
    /// An image that is a base.
    pub(crate) fn base(memory: &[u8]) -> Self {
        Self {
            base: memory.into(),
            pages: BTreeMap::new(),
        }
    }

    /// Equal for equal images of one base.
    pub(crate) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (number, page) in &self.pages {
            (number, page.hash).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Makes `memory` hold the image.
    pub(crate) fn copy_to(&self, memory: &mut [u8]) {
        for number in 0..self.page_count() {
            let (page, there) = (self.page(number), &mut memory[number * PAGE..][..PAGE]);
            // Most pages are the same; reading them is cheaper than writing them.
            if page != there {
                there.copy_from_slice(page);
            }
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.base.len()
    }

    fn page_count(&self) -> usize {
        self.base.len() / PAGE
    }

    fn page(&self, number: usize) -> &[u8] {
        match self.pages.get(&number) {
            Some(page) => &page.content,
            None => &self.base[number * PAGE..][..PAGE],
        }
    }

    /// Takes over what a page of `memory` holds. Whether that is something else than before.
    fn refresh(&mut self, number: usize, memory: &[u8]) -> bool {
        let now = &memory[number * PAGE..][..PAGE];
        if self.page(number) == now {
            return false;
        }
        if self.base[number * PAGE..][..PAGE] == *now {
            self.pages.remove(&number);
        } else {
            let mut hasher = DefaultHasher::new();
            now.hash(&mut hasher);
            let page = Page {
                content: now.into(),
                hash: hasher.finish(),
            };
            self.pages.insert(number, page);
        }
        true
    }
}

/// The pages that an operation is known to write: the only ones that are looked at after every
/// instruction. Comparing them all would take a hundred times as long as the instruction.
pub(crate) struct Hot {
    pages: BTreeSet<usize>,
}

impl Hot {
    /// Every page that holds anything: what is empty before an operation, and is not backed by it,
    /// is hardly ever written.
    pub(crate) fn of(image: &Image) -> Self {
        let used = |&number: &usize| image.page(number).iter().any(|&byte| byte != 0);
        Self {
            pages: (0..image.page_count()).filter(used).collect(),
        }
    }
}

/// An image that follows the memory.
pub(crate) struct Watch {
    pub image: Image,
}

impl Watch {
    /// The image that `memory` holds now, as a variant of `base`.
    pub(crate) fn begin(base: &Image, memory: &[u8]) -> Self {
        let mut image = base.clone();
        for number in 0..image.page_count() {
            image.refresh(number, memory);
        }
        Self { image }
    }

    /// Whether a page that is known to be written has changed.
    pub(crate) fn has_changed(&mut self, memory: &[u8], hot: &Hot) -> bool {
        let mut changed = false;
        for &number in &hot.pages {
            changed |= self.image.refresh(number, memory);
        }
        changed
    }

    /// Looks at the other pages. If one of them has changed it is known from now on, and what was
    /// seen so far is not everything.
    pub(crate) fn missed_any(&mut self, memory: &[u8], hot: &mut Hot) -> bool {
        let before = hot.pages.len();
        for number in 0..self.image.page_count() {
            if self.image.refresh(number, memory) {
                hot.pages.insert(number);
            }
        }
        hot.pages.len() > before
    }
}
