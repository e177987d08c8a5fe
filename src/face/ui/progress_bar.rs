//! Tells of a run on a terminal: finished assets scroll up, what is running is drawn below them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::{
    face::ui::{
        Role, Style, Ui,
        line::{self, Shown},
        plain,
        progress::Setting,
        stream::{Sink, Size, Stream},
        tally::Tally,
        words,
    },
    model::{
        event::{Listener, RunEvent, RunOutcome, StepIndex, StepOutcome, StepReport},
        key::AssetKey,
    },
};

/// A run that is over sooner draws nothing.
const FIRST_DRAW_MS: u64 = 500;
const REDRAW_MS: u64 = 100;
const RUNNING_SHOWN_MAX: usize = 8;
const BAR_COLUMNS: usize = 24;
/// Below this the bar itself is left out.
const BAR_NEEDS_COLUMNS: usize = 60;
/// A step that takes so many times its usual time stands out.
const SLOW: u64 = 4;
const VERY_SLOW: u64 = 8;

pub struct BarListener {
    err: Stream,
    setting: Setting,
    shown: Shown,
    tally: Tally,
    running: BTreeMap<StepIndex, Running>,
    screen: Screen,
    bar: Option<ProgressBar>,
    /// Permanent lines that wait for the next frame.
    pending: String,
    drawn: String,
    now_ms: u64,
    started_ms: Option<u64>,
    last_frame_ms: u64,
    stopping: bool,
    /// Time that does not count: everything stood still.
    paused_ms: u64,
    said_since_failure: usize,
}

struct Running {
    name: String,
    since_ms: u64,
    median_ms: Option<u64>,
    /// What for, if it is not at work.
    waits: Option<String>,
}

impl BarListener {
    pub fn new(ui: &Ui, setting: Setting) -> BarListener {
        BarListener {
            err: ui.err().clone(),
            shown: Shown::new(ui.is_verbose()),
            tally: Tally::new(setting.fresh),
            setting,
            running: BTreeMap::new(),
            screen: Screen::new(ui.err()),
            bar: None,
            pending: String::new(),
            drawn: String::new(),
            now_ms: 0,
            started_ms: None,
            last_frame_ms: 0,
            stopping: false,
            paused_ms: 0,
            said_since_failure: 0,
        }
    }

    fn say(&mut self, word: &str, role: Role, rest: &str) {
        let text = line::with_status(word, role, rest, self.err.style(), self.err.line_width());
        self.pending.push_str(&text);
        self.pending.push('\n');
        self.said_since_failure += 1;
    }

    fn remark(&mut self, event: &RunEvent) {
        if let Some((word, role, rest)) = plain::remark(event) {
            self.say(word, role, &rest);
        }
    }

    fn waits(&mut self, step: StepIndex, key: &AssetKey, what: String) {
        let (name, since_ms) = (key.to_string(), self.now_ms);
        self.running.insert(step, Running { name, since_ms, median_ms: None, waits: Some(what) });
    }

    fn finished(&mut self, report: &StepReport) {
        if !self.shown.is_shown(report) {
            return;
        }
        let style = self.err.style();
        let report = &*self.tally.told(report);
        self.pending.push_str(&line::finished(report, self.setting.columns, style, self.err.line_width()));
        self.pending.push('\n');
        self.said_since_failure += 1;
        if report.outcome == StepOutcome::Failed {
            self.pending.push_str(&line::failure_details(report, style));
            self.said_since_failure = 0;
        }
    }

    /// One frame: what is permanent, then the live block below it, in a single write.
    fn frame(&mut self) {
        self.last_frame_ms = self.now_ms;
        let live = self.started_ms.is_some_and(|it| self.now_ms.saturating_sub(it) >= FIRST_DRAW_MS);
        let block = if live { self.block() } else { String::new() };
        if self.pending.is_empty() && block == self.drawn {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        match &self.bar {
            None => {
                self.screen.push(&pending);
                if live {
                    let target = ProgressDrawTarget::term_like(Box::new(self.screen.clone()));
                    let bar = ProgressBar::with_draw_target(None, target).with_style(message_only());
                    bar.set_message(block.clone());
                    self.bar = Some(bar);
                }
            }
            Some(bar) if pending.is_empty() => bar.set_message(block.clone()),
            Some(bar) => {
                bar.suspend(|| self.screen.push(&pending));
                bar.set_message(block.clone());
            }
        }
        self.drawn = block;
        self.screen.present();
    }

    /// A summary line and the steps that run longest.
    fn block(&self) -> String {
        let (style, (columns, rows)) = (self.err.style(), self.err.size().now());
        let elapsed_ms = self.now_ms.saturating_sub(self.started_ms.unwrap_or(self.now_ms));
        let mut rest = String::new();
        if columns >= BAR_NEEDS_COLUMNS {
            rest.push_str(&bar_of(self.tally.steps_done, self.tally.steps));
        }
        let _ = write!(rest, "{}/{}", self.tally.steps_done, self.tally.steps);
        let running = self.running.values().filter(|it| it.waits.is_none()).count();
        let waiting = self.running.len() - running;
        let counts = &self.tally.counts;
        for (number, what) in [(running, "running"), (waiting, "waiting"), (counts.failed, "failed")] {
            if number > 0 {
                let _ = write!(rest, ", {number} {what}");
            }
        }
        let _ = write!(rest, ", {}", words::duration(elapsed_ms));
        let (word, role) = if self.stopping { ("Stopping", Role::Warn) } else { ("Building", Role::Info) };
        let role = if counts.failed > 0 { Role::Bad } else { role };
        // Room for the `^C` that the terminal writes by itself: a full last line would wrap.
        let width = columns.saturating_sub(3);
        let mut block = line::with_status(word, role, &rest, style, Some(width));
        let mut longest: Vec<&Running> = self.running.values().collect();
        longest.sort_by_key(|it| (it.waits.is_some(), it.since_ms));
        for it in longest.iter().take(RUNNING_SHOWN_MAX.min(rows.saturating_sub(2))) {
            block.push('\n');
            block.push_str(&self.running_line(it, style, width));
        }
        block
    }

    fn running_line(&self, it: &Running, style: Style, width: usize) -> String {
        let elapsed_ms = self.now_ms.saturating_sub(it.since_ms);
        let mut text = it.name.clone();
        let mut role = Role::Dim;
        if let Some(what) = &it.waits {
            let _ = write!(text, "  waits {what}");
        } else if let Some(median_ms) = it.median_ms.filter(|it| *it > 0 && elapsed_ms >= SLOW * *it) {
            let _ = write!(text, "  slow, usually {}", words::duration(median_ms));
            role = if elapsed_ms >= VERY_SLOW * median_ms { Role::Bad } else { Role::Warn };
        }
        let elapsed = words::duration(elapsed_ms / REDRAW_MS * REDRAW_MS);
        line::with_status(&elapsed, role, &text, style, Some(width))
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.drawn.clear();
    }

    /// Leaves the terminal to others: what was said stays, the live block goes.
    fn step_aside(&mut self) {
        self.clear();
        let pending = std::mem::take(&mut self.pending);
        self.screen.push(&pending);
        self.screen.present();
    }

    fn run_finished(&mut self, outcome: RunOutcome, duration_ms: u64) {
        self.clear();
        let (style, width) = (self.err.style(), self.err.line_width());
        let mut text = std::mem::take(&mut self.pending);
        let retell = self.said_since_failure > 0 || self.tally.failures.len() > 1;
        text.push_str(&plain::end(&self.tally, &self.setting, outcome, retell, style, width));
        text.push_str(&line::counts(&self.tally.counts, outcome, duration_ms, style));
        text.push('\n');
        self.screen.push(&text);
        self.screen.present();
    }
}

/// `[=======>    ] `.
fn bar_of(done: usize, total: usize) -> String {
    let filled = (BAR_COLUMNS * done.min(total)).checked_div(total).unwrap_or(0);
    let head = if filled < BAR_COLUMNS { ">" } else { "" };
    format!("[{:<BAR_COLUMNS$}] ", format!("{}{head}", "=".repeat(filled)))
}

fn message_only() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").expect("the template is well formed")
}

impl Listener for BarListener {
    fn on_event(&mut self, event: &RunEvent) {
        self.tally.take(event);
        match event {
            RunEvent::StepStarted { step, key, partition, median_ms, .. } => {
                let name = line::name(key, partition);
                let running = Running { name, since_ms: self.now_ms, median_ms: *median_ms, waits: None };
                self.running.insert(*step, running);
            }
            RunEvent::Waiting { step, key, holder } => {
                self.waits(*step, key, format!("for {}", words::visible(holder)));
            }
            RunEvent::Retrying { step, key, .. } => {
                self.waits(*step, key, "to be tried again".to_owned());
                self.remark(event);
            }
            RunEvent::StepFinished { step, reports } => {
                self.running.remove(step);
                for report in reports {
                    self.finished(report);
                }
            }
            RunEvent::RunFinished { outcome, duration_ms, .. } => self.run_finished(*outcome, *duration_ms),
            RunEvent::Paused => self.step_aside(),
            // The shell says that it goes on.
            RunEvent::Resumed { paused_ms } => self.paused_ms += paused_ms,
            _ => {
                self.stopping |= matches!(event, RunEvent::Interrupted { .. });
                self.remark(event);
            }
        }
    }

    fn on_tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms.saturating_sub(self.paused_ms);
        let started_ms = *self.started_ms.get_or_insert(self.now_ms);
        if self.now_ms.saturating_sub(self.last_frame_ms.max(started_ms)) >= REDRAW_MS {
            self.frame();
        }
    }
}

impl Drop for BarListener {
    /// However the run ended, no half-drawn block is left behind and nothing that was said is lost.
    fn drop(&mut self) {
        self.step_aside();
    }
}

/// The terminal as indicatif wants it. Everything is gathered and written at once: no flicker.
#[derive(Clone, Debug)]
struct Screen {
    sink: Sink,
    size: Size,
    gathered: Arc<Mutex<Gathered>>,
}

#[derive(Debug, Default)]
struct Gathered {
    text: String,
    /// The line of the live block is over; another one may follow.
    line_is_over: bool,
}

impl Screen {
    fn new(stream: &Stream) -> Screen {
        Screen { sink: stream.sink().clone(), size: stream.size(), gathered: Arc::default() }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, text: &str) {
        let mut gathered = self.gathered();
        gathered.line_is_over = false;
        gathered.text.push_str(text);
    }

    /// There is nowhere to say that standard error is gone.
    fn present(&self) {
        let text = std::mem::take(&mut self.gathered().text);
        if !text.is_empty() {
            let _ = self.sink.write(&text);
        }
    }

    /// A control sequence that takes a number; zero is no movement.
    fn push_move(&self, number: usize, letter: char) -> io::Result<()> {
        if number > 0 {
            self.push(&format!("\x1b[{number}{letter}"));
        }
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.size.now().0).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.size.now().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.push_move(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.push_move(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.push_move(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.push_move(columns, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.push(text);
        self.push("\r\n");
        Ok(())
    }

    /// indicatif fills each line with blanks and lets it wrap. Real ends of lines survive a window
    /// that is resized, and keys that the terminal writes behind the last one.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut gathered = self.gathered();
        if text.trim_matches(' ').is_empty() {
            gathered.line_is_over = true;
        } else {
            if std::mem::take(&mut gathered.line_is_over) {
                gathered.text.push_str("\r\n");
            }
            gathered.text.push_str(text);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::face::ui::{
        Volume,
        plain::tests::{finished, run_finished, run_started, setting, started},
        stream::Captured,
    };

    fn listener(columns: usize, rows: usize) -> (BarListener, Captured) {
        let (out, _) = Stream::captured();
        let (err, talk) = Stream::captured_terminal(columns, rows);
        (BarListener::new(&Ui::new(out, err, Volume::Normal), setting()), talk)
    }

    /// What a person sees, without empty lines at the end. A kernel's terminal turns `\n` into `\r\n`.
    fn screen(talk: &Captured, columns: u16, rows: u16) -> String {
        let mut parser = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let text = talk.text();
        parser.process(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
        let lines: Vec<String> = parser.screen().rows(0, columns).map(|it| it.trim_end().to_owned()).collect();
        words::ruled(lines.join("\n").trim_end())
    }

    fn send(listener: &mut BarListener, at_ms: u64, events: &[RunEvent]) {
        listener.on_tick(at_ms);
        for event in events {
            listener.on_event(event);
        }
    }

    #[test]
    fn a_run_is_drawn_and_cleared() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 5_000, &[run_started(12), started(0, "orders"), started(1, "mart/revenue")]);
        send(&mut it, 5_400, &[finished(0, "orders", StepOutcome::Built)]);
        it.on_tick(5_450);
        expect![""].assert_eq(&screen(&talk, 80, 24));
        it.on_tick(5_600);
        expect![[r#"
            |       Built orders         files     0.8s     1.2 MB  code changed: sql/orders…
            |    Building [==>                     ] 1/12, 1 running, 0.6s
            |        0.6s mart/revenue
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
        send(&mut it, 9_700, &[started(2, "mart/top"), finished(1, "mart/revenue", StepOutcome::Failed)]);
        send(&mut it, 9_900, &[finished(3, "mart/forecast", StepOutcome::Skipped)]);
        it.on_tick(14_000);
        expect![[r#"
            |       Built orders         files     0.8s     1.2 MB  code changed: sql/orders…
            |      Failed mart/revenue   files     0.8s  exit status 1
            |    Traceback (most recent call last):
            |        KeyError: 'amount'
            |    log: .assets/runs/r1/mart/revenue.log
            |     Skipped mart/forecast  files  upstream mart/revenue failed
            |    Building [======>                 ] 3/12, 1 running, 1 failed, 9.0s
            |        4.3s mart/top  slow, usually 1.0s
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
        send(&mut it, 14_050, &[finished(2, "mart/top", StepOutcome::Built), run_finished(RunOutcome::Failed)]);
        expect![[r#"
            |       Built orders         files     0.8s     1.2 MB  code changed: sql/orders…
            |      Failed mart/revenue   files     0.8s  exit status 1
            |    Traceback (most recent call last):
            |        KeyError: 'amount'
            |    log: .assets/runs/r1/mart/revenue.log
            |     Skipped mart/forecast  files  upstream mart/revenue failed
            |       Built mart/top       files     0.8s     1.2 MB  code changed: sql/orders…
            |
            |1 asset failed:
            |      Failed mart/revenue   files     0.8s  exit status 1
            |    Traceback (most recent call last):
            |        KeyError: 'amount'
            |    log: .assets/runs/r1/mart/revenue.log
            |
            |To run only what failed again: assets retry
            |
            |    Finished 2 built, 1 failed, 1 skipped, 980 fresh in 31s
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
        let last = screen(&talk, 80, 24);
        drop(it);
        assert_eq!(screen(&talk, 80, 24), last);
    }

    #[test]
    fn at_most_eight_steps_are_drawn_and_the_longest_first() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(20)]);
        for step in 0..12 {
            send(&mut it, 10 * (12 - step as u64), &[started(step, &format!("a{step}"))]);
        }
        it.on_tick(1_000);
        let drawn = screen(&talk, 80, 24);
        assert_eq!(drawn.lines().count(), 1 + RUNNING_SHOWN_MAX, "{drawn}");
        assert!(drawn.lines().nth(1).unwrap().contains(" 0.9s a11"), "{drawn}");
    }

    #[test]
    fn lines_fit_whatever_the_window() {
        for (columns, rows) in [(20, 4), (40, 10), (80, 24), (200, 50)] {
            let (mut it, talk) = listener(columns, rows);
            send(&mut it, 0, &[run_started(30)]);
            for step in 0..10 {
                send(&mut it, 1, &[started(step, &format!("a/very/long/key/of/an/asset/indeed_{step}"))]);
            }
            for at_ms in (1_000..3_000).step_by(100) {
                it.on_tick(at_ms);
            }
            let drawn = screen(&talk, columns as u16, rows as u16);
            assert_eq!(drawn.matches("Building").count(), 1, "{drawn}");
            assert_eq!(drawn.lines().count(), 1 + RUNNING_SHOWN_MAX.min(rows - 2), "{drawn}");
            if columns == 40 {
                expect![[r#"
                    |    Building 0/30, 10 running, 2.9s
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                    |        2.8s a/very/long/key/of/an/a…
                "#]]
                .assert_eq(&drawn);
            }
        }
    }

    #[test]
    fn many_finished_lines_scroll_without_remains() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(200), started(500, "slow/one")]);
        for step in 0..100 {
            send(&mut it, 40 * step as u64, &[finished(step, &format!("a{step}"), StepOutcome::Built)]);
        }
        it.on_tick(5_000);
        let drawn = screen(&talk, 80, 24);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 24);
        for (index, line) in lines[..22].iter().enumerate() {
            assert!(line.contains(&format!("Built a{} ", 78 + index)), "{drawn}");
        }
        assert!(lines[22].contains("100/200, 1 running") && lines[23].contains("slow/one"), "{drawn}");
    }

    #[test]
    fn frames_come_at_most_ten_times_a_second_and_only_if_something_moved() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(5)]);
        it.on_tick(600);
        let before = talk.bytes().len();
        send(&mut it, 650, &[finished(0, "orders", StepOutcome::Built)]);
        it.on_tick(699);
        assert_eq!(talk.bytes().len(), before);
        it.on_tick(700);
        assert!(talk.bytes().len() > before);
    }

    #[test]
    fn what_is_said_meanwhile_stands_above_the_live_block() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(3), started(0, "orders"), started(1, "mart/top")]);
        it.on_tick(1_000);
        let key = AssetKey::parse("orders").unwrap();
        let retrying =
            RunEvent::Retrying { step: 0, key, attempt: 1, of: 2, delay_ms: 5_000, reason: "exit status 1".into() };
        send(&mut it, 1_100, &[RunEvent::Note { message: "the log was cut".to_owned() }, retrying]);
        let key = AssetKey::parse("mart/held").unwrap();
        send(&mut it, 1_200, &[RunEvent::Waiting { step: 2, key, holder: "process 7".to_owned() }]);
        it.on_tick(2_000);
        expect![[r#"
            |        Note the log was cut
            |    Retrying orders, attempt 1 of 2 in 5.0s: exit status 1
            |    Building [>                       ] 0/3, 1 running, 2 waiting, 2.0s
            |        2.0s mart/top
            |        0.9s orders  waits to be tried again
            |        0.8s mart/held  waits for process 7
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
    }

    #[test]
    fn while_it_is_stopped_the_screen_belongs_to_others() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(3), started(0, "orders")]);
        it.on_tick(1_000);
        send(&mut it, 1_050, &[RunEvent::Paused]);
        assert_eq!(screen(&talk, 80, 24), "");
        it.err.sink().write("[1]+ Stopped\n$ fg\n").unwrap();
        it.on_event(&RunEvent::Resumed { paused_ms: 60_000 });
        it.on_tick(61_200);
        expect![[r#"
            |[1]+ Stopped
            |$ fg
            |    Building [>                       ] 0/3, 1 running, 1.2s
            |        1.2s orders
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
    }

    #[test]
    fn a_short_run_draws_no_bar() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(1), started(0, "orders")]);
        send(&mut it, 300, &[finished(0, "orders", StepOutcome::Built), run_finished(RunOutcome::Succeeded)]);
        drop(it);
        assert!(!talk.text().contains('\x1b'), "{:?}", talk.text());
    }

    #[test]
    fn a_run_that_broke_off_leaves_a_clean_screen() {
        let (mut it, talk) = listener(80, 24);
        send(&mut it, 0, &[run_started(1), started(0, "orders")]);
        it.on_tick(1_000);
        send(&mut it, 1_001, &[RunEvent::Interrupted { running: 1, grace_ms: 5_000 }]);
        drop(it);
        expect![[r#"
            |    Stopping waiting up to 5 s for 1 running; Ctrl-C again kills
        "#]]
        .assert_eq(&screen(&talk, 80, 24));
    }
}
