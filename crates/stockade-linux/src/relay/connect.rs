//! Decides what the command gets for each stream of the caller.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, Stat, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use stockade_spec::request::Terminal;

use super::caller::CallerTerminal;
use super::error::{RelayError, Stream};
use super::input::Input;
use super::keyboard::{Keyboard, Use};
use super::output::Output;
use super::sink::Sink;
use super::stdio::{HostStdio, InnerStdio, InnerStream, examine, is_null, joined};

/// The streams, connected as far as that goes without a pseudo-terminal.
pub(super) struct Connected {
    pub(super) inner: InnerStdio,
    pub(super) input: Option<Input>,
    pub(super) keyboard: Option<Keyboard>,
    pub(super) screen: Option<Sink>,
    pub(super) outputs: Vec<Output>,
}

/// The caller's output streams with their descriptions.
struct HostOutputs {
    stdout: (OwnedFd, Stat),
    stderr: (OwnedFd, Stat),
}

/// Connects every stream that is not a terminal, and prepares what the terminal needs.
pub(super) fn connect(host: HostStdio, terminal: Terminal) -> Result<Connected, RelayError> {
    let (out_stat, err_stat) = (examine(&host.stdout, Stream::Stdout)?, examine(&host.stderr, Stream::Stderr)?);
    let one_pipe = !terminal.stdout && !terminal.stderr && joined(&host, &out_stat, &err_stat);
    let (keyboard, screen) = match terminal {
        Terminal { stdin: false, stdout: false, stderr: false } => (None, None),
        _ => terminal_ends(&host, terminal, &out_stat).map(|(keyboard, screen)| (Some(keyboard), Some(screen)))?,
    };
    let (stdin, input) = connect_input(host.stdin, terminal.stdin)?;
    let outputs = HostOutputs { stdout: (host.stdout, out_stat), stderr: (host.stderr, err_stat) };
    let (stdout, stderr, outputs) = if one_pipe { connect_joined(outputs)? } else { connect_apart(outputs, terminal)? };
    Ok(Connected { inner: InnerStdio { stdin, stdout, stderr }, input, keyboard, screen, outputs })
}

/// The caller's terminal as keyboard and as screen.
fn terminal_ends(host: &HostStdio, terminal: Terminal, stdout: &Stat) -> Result<(Keyboard, Sink), RelayError> {
    let failed = |source| RelayError::Terminal { operation: "use the caller's terminal", source };
    let stdin = terminal.stdin.then_some(&host.stdin);
    let outputs = terminal.stdout.then_some(&host.stdout).or(terminal.stderr.then_some(&host.stderr));
    let keyboard = stdin.or(outputs).unwrap_or(&host.stdin);
    let screen = outputs.unwrap_or(keyboard);
    let keyboard = CallerTerminal::new(keyboard.try_clone().map_err(failed)?);
    let stat = examine(screen, Stream::Terminal)?;
    let screen = Sink::new(screen.try_clone().map_err(failed)?, &stat);
    Ok((Keyboard::new(keyboard, usage(terminal, stdout)), screen))
}

fn usage(terminal: Terminal, stdout: &Stat) -> Use {
    let leads_to_a_program = matches!(FileType::from_raw_mode(stdout.st_mode), FileType::Fifo | FileType::Socket);
    match terminal {
        Terminal { stdin: false, .. } => Use::Nothing,
        Terminal { stdout: false, .. } if leads_to_a_program => Use::Lines,
        _ => Use::Keys,
    }
}

fn connect_input(host: OwnedFd, terminal: bool) -> Result<(InnerStream, Option<Input>), RelayError> {
    if terminal {
        return Ok((InnerStream::Terminal, None));
    }
    let stat = examine(&host, Stream::Stdin)?;
    if is_null(&stat) {
        return Ok((InnerStream::Null, None));
    }
    let (input, command) = Input::new(host, &stat)?;
    Ok((InnerStream::Descriptor(command), Some(input)))
}

/// One pipe for both, so that what is written to them keeps its order.
fn connect_joined(host: HostOutputs) -> Result<(InnerStream, InnerStream, Vec<Output>), RelayError> {
    let (fd, stat) = host.stdout;
    let (stdout, output) = connect_output(Stream::Stdout, fd, &stat, true)?;
    let stderr = stdout.try_clone().map_err(|source| RelayError::Pipe { stream: Stream::Stderr, source })?;
    Ok((InnerStream::Descriptor(stdout), InnerStream::Descriptor(stderr), vec![output]))
}

fn connect_apart(host: HostOutputs, terminal: Terminal) -> Result<(InnerStream, InnerStream, Vec<Output>), RelayError> {
    let mut outputs = Vec::with_capacity(2);
    let mut one = |stream, (fd, stat): (OwnedFd, Stat), terminal| {
        if terminal {
            return Ok(InnerStream::Terminal);
        }
        let (command, output) = connect_output(stream, fd, &stat, stream == Stream::Stderr)?;
        outputs.push(output);
        Ok(InnerStream::Descriptor(command))
    };
    let stdout = one(Stream::Stdout, host.stdout, terminal.stdout)?;
    let stderr = one(Stream::Stderr, host.stderr, terminal.stderr)?;
    Ok((stdout, stderr, outputs))
}

fn connect_output(stream: Stream, fd: OwnedFd, stat: &Stat, keep_tail: bool) -> Result<(OwnedFd, Output), RelayError> {
    let failed = |error: Errno| RelayError::Pipe { stream, source: io::Error::from(error) };
    let (source, command) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    fcntl_setfl(&source, OFlags::NONBLOCK).map_err(failed)?;
    Ok((command, Output::new(stream, source, Sink::new(fd, stat), keep_tail)))
}
