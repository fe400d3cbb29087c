//! The terminal: one picture in the place of the other, and all as it was in the end.

use std::io::{self, IsTerminal as _};

use coheld_shm::os::terminal;

use super::show::Scene;
use crate::output;

/// The second screen of a terminal, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// From the first line on, and what is left of the last picture away.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

/// Size of a terminal that does not tell.
const COLUMNS: usize = 80;
const LINES: usize = 24;
/// Lines of a picture that is no screen: nothing scrolls away.
const PAGE: usize = 40;

/// Where pictures are drawn.
pub(super) struct Screen {
    is_terminal: bool,
    is_first: bool,
}

impl Screen {
    /// Takes the terminal over, if there is one; a plain one just goes on.
    pub(super) fn enter(plain: bool) -> Self {
        let is_terminal = !plain && io::stdout().is_terminal();
        if is_terminal {
            let _ = output::text(ENTER);
        }
        Self {
            is_terminal,
            is_first: true,
        }
    }

    /// Draws a picture.
    pub(super) fn draw(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        if !self.is_terminal {
            let space = if self.is_first { "" } else { "\n" };
            self.is_first = false;
            return output::text(&format!("{space}{}\n", scene.lines(PAGE).join("\n")));
        }
        let size = terminal::size(io::stdout());
        let (columns, lines) = size.map_or((COLUMNS, LINES), |(columns, lines)| {
            (usize::from(columns), usize::from(lines))
        });
        let cut = |line: &String| line.chars().take(columns).collect::<String>();
        let shown: Vec<_> = scene.lines(lines).iter().take(lines).map(cut).collect();
        let end = format!("{REST_OF_LINE}\r\n");
        let picture = shown.join(&end);
        output::text(&format!("{HOME}{picture}{REST_OF_LINE}{REST}"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = output::text(LEAVE);
        }
    }
}
