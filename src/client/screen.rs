//! What the engine tells, on its way to the screen: above the line that is being typed, or directly.
//! Between two threads: `engine` shows, the main thread edits lines. A third one, `nudger`, wakes the
//! editor.
//!
//! The engine never waits for the line editor. What it tells while a line is being typed is put
//! into a queue, and the editor is nudged; whenever the editor draws its prompt, it takes all that
//! is in the queue and draws it above. What is left when the line ends is printed then, and what
//! comes while there is no editor is printed at once. One lock says which of the two it is.
//! (The editor's own way of printing holds one text, and whoever has another one waits until a line
//! is being edited again, which may be never.)

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use rustyline::ExternalPrinter;

use super::show;
use crate::client::engine::{Backpressure, EngineInput, Frontend, Output};
use crate::client::options::Exit;
use crate::client::show::Style;

/// Texts that may wait for the editor before the network has to wait.
const WAITING_MAX: usize = 256;

/// A text that makes the editor redraw its prompt: it goes up before the line break of all texts.
const NUDGE: &str = "\x1b[A\n";

#[derive(Default)]
struct ScreenState {
    /// Whether the editor has drawn its prompt, and will be nudged to draw it again.
    editing: bool,
    /// In the order in which they came. Empty when nothing is being edited.
    waiting: VecDeque<String>,
    broken: bool,
}

/// The queue between the engine and the editor. Its lock is never held while somebody waits for
/// anything but the terminal.
#[derive(Default)]
pub(super) struct ScreenQueue {
    state: Mutex<ScreenState>,
    backpressure: Backpressure,
    engine: OnceLock<Sender<EngineInput>>,
}

impl ScreenQueue {
    pub(super) fn tell(&self, engine: Sender<EngineInput>) {
        let _ = self.engine.set(engine);
    }

    pub(super) fn prompt_drawn(&self) -> String {
        let mut state = self.state.lock();
        state.editing = true;
        self.take(&mut state)
    }

    /// The line has ended: what is left is printed, and what comes from now on is at once.
    pub(super) fn line_ended(&self) {
        let mut state = self.state.lock();
        state.editing = false;
        let text = self.take(&mut state);
        state.broken |= !text.is_empty() && print(&text).is_err();
    }

    fn take(&self, state: &mut ScreenState) -> String {
        if state.waiting.is_empty() {
            return String::new();
        }
        self.backpressure.set(false);
        if let Some(engine) = self.engine.get() {
            // If there is no room it has something to do, and looks for itself afterwards.
            let _ = engine.try_send(EngineInput::Shown);
        }
        state.waiting.drain(..).collect()
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(super) struct Screen {
    queue: Arc<ScreenQueue>,
    style: Style,
    nudges: Sender<()>,
}

impl Screen {
    /// A screen, and its queue if the editor is to take from it: it does where there is a printer.
    pub(super) fn new(
        printer: Option<impl ExternalPrinter + Send + 'static>,
        style: Style,
    ) -> io::Result<(Screen, Option<Arc<ScreenQueue>>)> {
        let queue = Arc::<ScreenQueue>::default();
        let (nudges, nudged) = bounded(1);
        let editor = printer.is_some().then(|| Arc::clone(&queue));
        if let Some(mut printer) = printer {
            let queue = Arc::clone(&queue);
            // In this thread alone somebody may wait for the editor.
            let nudge = move || {
                for () in nudged {
                    // The editor may have drawn its prompt meanwhile.
                    if !queue.state.lock().waiting.is_empty()
                        && printer.print(NUDGE.to_owned()).is_err()
                    {
                        return;
                    }
                }
            };
            thread::Builder::new()
                .name("nudger".to_owned())
                .spawn(nudge)?;
        }
        let screen = Screen {
            queue,
            style,
            nudges,
        };
        Ok((screen, editor))
    }
}

impl Frontend for Screen {
    fn show(&mut self, output: Output) -> ControlFlow<Exit> {
        let mut text = show::lines(&output, self.style);
        text.push('\n');
        let mut state = self.queue.state.lock();
        if state.editing {
            state.waiting.push_back(text);
            if state.waiting.len() >= WAITING_MAX {
                self.queue.backpressure.set(true);
            }
            // If there is no room, one is on its way.
            let _ = self.nudges.try_send(());
        } else {
            state.broken |= print(&text).is_err();
        }
        match state.broken {
            false => ControlFlow::Continue(()),
            // Nobody looks on any more. What was not told as received comes again.
            true => ControlFlow::Break(Exit::Failed),
        }
    }

    fn unshown(&self) -> usize {
        let state = self.queue.state.lock();
        if state.broken {
            usize::MAX
        } else {
            state.waiting.len()
        }
    }

    fn backpressure(&self) -> Backpressure {
        self.queue.backpressure.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::client::engine::Output;

    struct Printer(mpsc::Sender<String>);

    impl ExternalPrinter for Printer {
        fn print(&mut self, text: String) -> rustyline::Result<()> {
            self.0.send(text).map_err(|_| io::ErrorKind::Other.into())
        }
    }

    fn screen() -> (Screen, Arc<ScreenQueue>, mpsc::Receiver<String>) {
        let (printed, prints) = mpsc::channel();
        let style = Style { colours: false };
        let (screen, queue) = Screen::new(Some(Printer(printed)), style).expect("a thread");
        (screen, queue.expect("a queue"), prints)
    }

    fn note(number: usize) -> Output {
        Output::Note(format!("note {number}"))
    }

    #[test]
    fn what_comes_while_a_line_is_typed_waits_for_the_editor_and_not_the_engine() {
        let (mut screen, queue, prints) = screen();
        assert_eq!(queue.prompt_drawn(), "");
        for number in 0..WAITING_MAX + 100 {
            assert_eq!(screen.show(note(number)), ControlFlow::Continue(()));
            assert_eq!(screen.backpressure().is_on(), number + 1 >= WAITING_MAX);
        }
        assert_eq!(screen.unshown(), WAITING_MAX + 100);
        assert_eq!(prints.recv().as_deref(), Ok(NUDGE));
        let drawn = queue.prompt_drawn();
        assert_eq!(drawn.lines().count(), WAITING_MAX + 100);
        assert!(drawn.starts_with("-- note 0\n-- note 1\n"), "{drawn}");
        assert!(!screen.backpressure().is_on());
        assert_eq!((screen.unshown(), queue.prompt_drawn()), (0, String::new()));
    }

    #[test]
    fn the_engine_learns_that_something_was_shown() {
        let (mut screen, queue, _prints) = screen();
        let (engine, told) = bounded(8);
        queue.tell(engine);
        queue.prompt_drawn();
        assert!(screen.show(note(1)).is_continue());
        queue.line_ended();
        assert!(matches!(told.try_recv(), Ok(EngineInput::Shown)));
        // Shown at once, as there is no editor.
        assert!(screen.show(note(2)).is_continue());
        assert_eq!(screen.unshown(), 0);
        assert!(told.try_recv().is_err());
    }
}
