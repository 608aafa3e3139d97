//! The command line: arguments in, tables and JSON out, exit codes. Nothing else prints or reads the environment.

pub mod args;
pub mod dispatch;
#[cfg(test)]
mod docs;
pub mod error;
pub mod exit;
pub mod github;
mod hint;
pub mod output;
pub mod place;
pub mod progress;
pub mod signals;
pub mod surroundings;
pub mod wire;

use std::io::{IsTerminal as _, Write as _};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapErrorKind};

use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::id::EnvironmentName;
use args::{Cli, Global, Output};
use dispatch::Run;
use output::Style;
use surroundings::Surroundings;

/// The whole program.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| tell(&bug(panic))));
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => usage(short(error)),
    }));
    ExitCode::from(done.unwrap_or(exit::code(ErrorKind::Bug)))
}

/// What whoever meets a panic can do about it.
fn bug(panic: &dyn std::fmt::Display) -> String {
    format!(
        "relman {} has a bug and stopped: {panic}\n\
         Please report it with the lines above and the command that was run.\n\
         A deployment that was under way can be resumed: relman resume\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Writes to stderr. Whether anybody still reads it changes nothing.
fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Bytes of a wrong value that are shown: enough to know it again.
const SHOWN: usize = 80;

/// Without the rest of a long value: what is wrong with it must not scroll away.
fn short(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.len() > SHOWN
    {
        let shown = &value[..value.floor_char_boundary(SHOWN)];
        let cut = format!("{shown}… ({} bytes)", value.len());
        error.insert(ContextKind::InvalidValue, ContextValue::String(cut));
    }
    error
}

fn usage(error: clap::Error) -> u8 {
    let text = error.render();
    if matches!(error.kind(), ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion) {
        let styled = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let _ = output::print(&if styled { text.ansi().to_string() } else { text.to_string() });
        return exit::DONE;
    }
    if wants_json() {
        let message = text.to_string();
        let message = message.trim().strip_prefix("error: ").unwrap_or(message.trim());
        tell(&error::json(&CommandError::new(ErrorKind::Usage, message).hint("relman --help")));
    } else {
        let styled = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        tell(&if styled { text.ansi().to_string() } else { text.to_string() });
    }
    exit::code(ErrorKind::Usage)
}

/// Whether JSON was asked for, in arguments that do not parse.
fn wants_json() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    arguments.iter().any(|one| matches!(one.as_str(), "-ojson" | "-o=json" | "--output=json"))
        || arguments.windows(2).any(|two| matches!(two[0].as_str(), "-o" | "--output") && two[1] == "json")
}

fn run(cli: Cli) -> u8 {
    let around = match Surroundings::capture() {
        Ok(around) => around,
        Err(error) => {
            let error =
                CommandError::new(ErrorKind::Failed, "there is no working directory").caused_by(error);
            return fail(error, None, &cli.global, false);
        }
    };
    let global = cli.global.clone();
    let on_stdout = progress::color(&global, &around, std::io::stdout().is_terminal());
    let on_stderr = progress::color(&global, &around, std::io::stderr().is_terminal());
    let style = Style { color: on_stdout, width: width(), now: SystemClock.now() };
    let run = Run::new(global.clone(), around, style, on_stderr);
    if !dispatch::is_long(&cli.verb) {
        signals::end_on_term();
    }
    let mut builder = if dispatch::is_long(&cli.verb) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let result = match builder.enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch::run(cli, &run));
            // What still waits on a blocking thread must not hold the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => {
            Err(CommandError::new(ErrorKind::Failed, "the system gives no threads").caused_by(error))
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => fail(error, run.meant.get(), &global, on_stderr),
    }
}

fn fail(error: CommandError, meant: Option<&EnvironmentName>, global: &Global, color: bool) -> u8 {
    let code = exit::code(error.kind);
    complain(error, meant, global, color);
    code
}

/// Says an error on stderr, as the options want it, about the environment that was named.
fn complain(mut error: CommandError, meant: Option<&EnvironmentName>, global: &Global, color: bool) {
    if let Some(name) = meant {
        for text in error.hints.iter_mut().chain([&mut error.message]) {
            *text = hint::for_environment(text, name);
        }
    }
    tell(&match global.output {
        Output::Json => error::json(&error),
        Output::Table => {
            error::text(&error, &Style { color, width: Style::UNBOUNDED, now: SystemClock.now() })
        }
    });
}

/// The terminal's width; what goes elsewhere is never wrapped.
fn width() -> u16 {
    if !std::io::stdout().is_terminal() {
        return Style::UNBOUNDED;
    }
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => 80,
    }
}
