//! One output stream: where bytes go, whether a terminal is there, and how wide it is.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    base::env::Environment,
    face::ui::{
        Style,
        color::{self, ColorChoice},
    },
};

/// Where there is no terminal to ask: logs are read in wide windows.
const COLUMNS_DEFAULT: usize = 120;
const ROWS_DEFAULT: usize = 24;

/// A shared writer; every text is written whole.
#[derive(Clone)]
pub struct Sink(Arc<Mutex<dyn Write + Send>>);

impl Sink {
    pub fn of(writer: impl Write + Send + 'static) -> Sink {
        Sink(Arc::new(Mutex::new(writer)))
    }

    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(text.as_bytes())?;
        writer.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// How to learn the columns and rows of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Size {
    Fixed { columns: usize, rows: usize },
    OfStdout,
    OfStderr,
}

impl Size {
    /// Columns and rows as they are now: windows are resized.
    pub fn now(self) -> (usize, usize) {
        let found = match self {
            Size::Fixed { columns, rows } => return (columns, rows),
            Size::OfStdout => terminal_size::terminal_size_of(io::stdout()),
            Size::OfStderr => terminal_size::terminal_size_of(io::stderr()),
        };
        match found {
            Some((width, height)) if width.0 > 0 && height.0 > 0 => (width.0.into(), height.0.into()),
            _ => (COLUMNS_DEFAULT, ROWS_DEFAULT),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Stream {
    sink: Sink,
    terminal: bool,
    size: Size,
    color: bool,
    unicode: bool,
}

impl Stream {
    pub fn new(sink: Sink, terminal: bool, size: Size, choice: ColorChoice, environment: &Environment) -> Stream {
        let size = if terminal { size } else { Size::Fixed { columns: COLUMNS_DEFAULT, rows: ROWS_DEFAULT } };
        let color = color::decide(choice, environment, terminal);
        Stream { sink, terminal, size, color, unicode: color::is_unicode(environment) }
    }

    /// No terminal, no colour.
    pub fn plain(sink: Sink) -> Stream {
        let size = Size::Fixed { columns: COLUMNS_DEFAULT, rows: ROWS_DEFAULT };
        Stream { sink, terminal: false, size, color: false, unicode: true }
    }

    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn style(&self) -> Style {
        Style { color: self.color, unicode: self.unicode, width: self.size.now().0 }
    }

    /// Columns that a line must fit into; `None` where lines may be of any length.
    pub fn line_width(&self) -> Option<usize> {
        self.terminal.then(|| self.size.now().0)
    }
}

/// What was written to a [`Sink`], for tests.
#[cfg(test)]
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Captured {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

#[cfg(test)]
impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
impl Stream {
    pub fn captured() -> (Stream, Captured) {
        let captured = Captured::default();
        (Stream::plain(Sink::of(captured.clone())), captured)
    }

    /// A terminal without colour.
    pub fn captured_terminal(columns: usize, rows: usize) -> (Stream, Captured) {
        let (stream, captured) = Stream::captured();
        (Stream { terminal: true, size: Size::Fixed { columns, rows }, ..stream }, captured)
    }
}
