//! The terminal that a program prints on.

use std::os::fd::AsFd;

/// Columns and lines of the terminal; `None` for anything else, or one that does not tell.
#[must_use]
pub fn size(output: impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(output).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pipe_has_no_size() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(super::size(reader), None);
    }
}
