//! Functions of the running program by their place in it, which is the same in each process that
//! runs the program: where the system has loaded it differs from process to process.

use core::ops::Range;

/// Where the program itself, without the libraries it uses, has been loaded.
pub(super) struct Program {
    base: usize,
    /// The addresses of its instructions.
    text: Vec<Range<usize>>,
}

impl Program {
    /// Of this process; `None` if the system does not say.
    pub(super) fn of_this_process() -> Option<Self> {
        let mut found = None;
        let place: *mut Option<Self> = &raw mut found;
        // SAFETY: `note` has the signature that is asked for, and `place` points to `found`, which
        // nothing else uses until the call is over.
        unsafe { libc::dl_iterate_phdr(Some(note), place.cast()) };
        found
    }

    /// The place of a function in the program; `None` if it belongs to a library.
    pub(super) fn place_of(&self, address: usize) -> Option<u64> {
        self.has(address).then(|| (address - self.base) as u64)
    }

    /// The address of whatever instruction is at a place; `None` if there is none.
    pub(super) fn address_of(&self, place: u64) -> Option<usize> {
        let address = self.base.checked_add(usize::try_from(place).ok()?)?;
        self.has(address).then_some(address)
    }

    fn has(&self, address: usize) -> bool {
        self.text.iter().any(|range| range.contains(&address))
    }
}

/// Notes the first object that it is called for and ends the iteration: that is the program.
unsafe extern "C" fn note(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    place: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `dl_iterate_phdr` calls with a valid description of an object.
    let object = unsafe { &*object };
    // SAFETY: it has `dlpi_phnum` program headers, which stay as long as the object is loaded.
    let headers =
        unsafe { core::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    let base = object.dlpi_addr as usize;
    let text = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
        .map(|header| {
            let start = base.wrapping_add(header.p_vaddr as usize);
            start..start.saturating_add(header.p_memsz as usize)
        });
    let program = Program {
        base,
        text: text.collect(),
    };
    // SAFETY: `place` is what `Program::of_this_process` has given: an `Option<Program>` that
    // nobody else uses.
    unsafe { *place.cast() = Some(program) };
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function() {}

    #[test]
    fn a_function_of_the_program_has_a_place_and_others_have_none() {
        let program = Program::of_this_process().unwrap();
        let address = function as fn() as usize;
        let place = program.place_of(address).unwrap();
        assert_eq!(program.address_of(place), Some(address));

        // Data is no place to jump to, nor is what a library has, nor what there is not.
        let data = &raw const program as usize;
        assert_eq!(program.place_of(data), None);
        assert_eq!(program.place_of(libc::getpid as *const () as usize), None);
        for place in [0, u64::MAX, u64::MAX / 2, 1 << 47] {
            assert_eq!(program.address_of(place), None, "{place:#x}");
        }
    }
}
