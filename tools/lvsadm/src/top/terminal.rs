// SPDX-License-Identifier: GPL-2.0-only

//! The loop: keys, samples, screens.

use std::io;
use std::time::{Duration, Instant};

use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::Terminal;

use super::draw::screen;
use super::state::{Connections, Key, Request, Row, Sample, State};
use crate::error::Error;

/// The size of the screen that `--once` prints when there is no terminal.
const SIZE: (u16, u16) = (120, 40);

/// What the loop needs of the world.
pub struct World<'a> {
    /// Looks at the director.
    pub sample: &'a mut dyn FnMut() -> Result<Sample, Error>,
    /// Drains a server.
    pub drain: &'a mut dyn FnMut(&Row) -> Result<String, Error>,
    /// Looks at the first connections of a service or a server, as many as a screen may hold.
    pub connections: &'a mut dyn FnMut(&Row) -> Result<Connections, Error>,
    /// Gives a server its weight again.
    pub undrain: &'a mut dyn FnMut(&Row) -> Result<String, Error>,
}

/// A screen as text.
pub(super) fn painted(state: &State, width: u16, height: u16) -> io::Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    terminal.draw(|frame| screen(frame, state))?;
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let line: String = (0..width)
            .filter_map(|x| buffer.cell((x, y)))
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        text += line.trim_end();
        text.push('\n');
    }
    Ok(text)
}

/// One screen, as wide as the terminal, if there is one.
///
/// # Errors
///
/// When the director does not answer.
pub fn once(world: &mut World<'_>) -> Result<String, Error> {
    let mut state = State::default();
    state.update((world.sample)()?);
    let (width, _) = ratatui::crossterm::terminal::size().unwrap_or(SIZE);
    let lines = state.rows().len().saturating_add(6);
    let height = u16::try_from(lines).unwrap_or(u16::MAX);
    painted(&state, width.max(80), height).map_err(Error::Output)
}

/// Shows the full screen until it is quit.
///
/// # Errors
///
/// When there is no terminal, or the director does not answer.
pub fn run(interval: Duration, world: &mut World<'_>) -> Result<(), Error> {
    let mut state = State::default();
    // An error here is printed on an ordinary screen.
    state.update((world.sample)()?);
    let mut terminal = ratatui::try_init()
        .map_err(|error| Error::Failed(format!("cannot use the terminal: {error}")))?;
    let outcome = watch(&mut terminal, &mut state, interval, world);
    ratatui::restore();
    outcome
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    state: &mut State,
    interval: Duration,
    world: &mut World<'_>,
) -> Result<(), Error> {
    let mut due = Instant::now() + interval;
    loop {
        terminal
            .draw(|frame| screen(frame, state))
            .map_err(Error::Output)?;
        let left = due.saturating_duration_since(Instant::now());
        if event::poll(left).map_err(Error::Output)? {
            let Some(key) = key(&event::read().map_err(Error::Output)?) else {
                continue;
            };
            let outcome = match state.press(key) {
                Request::Draw => continue,
                Request::Quit => return Ok(()),
                Request::Look => Ok(String::new()),
                Request::Drain(row) => (world.drain)(&row),
                Request::Undrain(row) => (world.undrain)(&row),
            };
            look(state, world)?;
            state.tell(outcome.unwrap_or_else(|error| error.to_string()));
        } else {
            due = Instant::now() + interval;
            state.update((world.sample)()?);
            look_at_connections(state, world)?;
        }
    }
}

/// Takes a new look that is no sample of rates: those come once in each interval.
fn look(state: &mut State, world: &mut World<'_>) -> Result<(), Error> {
    state.refresh((world.sample)()?);
    look_at_connections(state, world)
}

fn look_at_connections(state: &mut State, world: &mut World<'_>) -> Result<(), Error> {
    if let Some(row) = state.followed().cloned() {
        state.follow((world.connections)(&row)?);
    }
    Ok(())
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else {
        // A new size needs a new screen only.
        return None;
    };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    Some(match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Character('q'),
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        _ => return None,
    })
}
