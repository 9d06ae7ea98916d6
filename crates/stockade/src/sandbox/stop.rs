//! What runs in a sandbox, and its end.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::ask::{Answer, Ask, Status};
use super::conversation::{Conversation, PATIENCE};
use super::exec;
use super::handle::{PAUSE, Sandbox, out_of_place};
use crate::error::Error;

impl Sandbox {
    /// What runs in it; `None` where it has no supervisor.
    ///
    /// # Errors
    /// When the supervisor does not answer as it should.
    pub fn status(&self) -> Result<Option<Status>, Error> {
        match self.ask(&Ask::Status)? {
            Some(Answer::Status(status)) => Ok(Some(status)),
            None => Ok(None),
            Some(other) => Err(out_of_place(&other)),
        }
    }

    /// Ends everything that runs in it, and waits for that. What is kept on disk stays. What ran, as far as the supervisor
    /// told; `None` where nothing did. A supervisor that does not answer is killed, which ends its sandbox as well.
    ///
    /// # Errors
    /// When it does not end all the same.
    pub fn stop(&self) -> Result<Option<Status>, Error> {
        self.let_go();
        let status = self.ask_to_stop()?;
        if !self.has_ended(PATIENCE)? {
            self.kill_supervisor()?;
            if !self.has_ended(PATIENCE)? {
                return Err(Error::Refused("it does not end; try again in a moment".to_owned()));
            }
        }
        Ok(status)
    }

    /// Asks the supervisor to end, once it listens: one that is starting does not yet. What runs, if it said so.
    fn ask_to_stop(&self) -> Result<Option<Status>, Error> {
        let until = Instant::now() + PATIENCE;
        while self.kept.is_running()? && Instant::now() < until {
            match self.status() {
                Ok(None) => std::thread::sleep(PAUSE),
                Ok(status) => {
                    return match self.ask(&Ask::Stop) {
                        Ok(_) | Err(Error::Silent(_)) => Ok(status),
                        Err(error) => Err(error),
                    };
                }
                Err(Error::Silent(_)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether it has no supervisor within a while.
    fn has_ended(&self, patience: Duration) -> Result<bool, Error> {
        let until = Instant::now() + patience;
        while self.kept.is_running()? {
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// Kills the supervisor; the kernel kills the sandbox with it, as init asked it to (`PR_SET_PDEATHSIG`).
    fn kill_supervisor(&self) -> Result<(), Error> {
        let Some(conversation) = self.connect()? else { return Ok(()) };
        let killed = kill_listener(&conversation);
        killed.map_err(|error| Error::Control(error.into()))
    }

    /// Asks one question, if there is a supervisor.
    fn ask(&self, ask: &Ask) -> Result<Option<Answer>, Error> {
        let Some(mut conversation) = self.connect()? else { return Ok(None) };
        let answer = conversation.send(ask, &[]).and_then(|()| conversation.wait_within(PATIENCE));
        match answer {
            Ok(answer) => Ok(Some(answer)),
            // It ended meanwhile.
            Err(error) if exec::is_gone(&error) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(Error::Silent(PATIENCE)),
            Err(error) => Err(Error::Control(error)),
        }
    }
}

/// Kills whoever listens at the other end of a connection. That is who listened first (`SO_PEERCRED` in `unix(7)`), and its
/// number is its own for as long as the connection stands, which is looked at once there is a handle of it.
fn kill_listener(conversation: &Conversation) -> Result<(), Errno> {
    let listener: Pid = rustix::net::sockopt::socket_peercred(conversation.socket())?.pid;
    let handle = match pidfd_open(listener, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        handle => handle?,
    };
    if has_hung_up(conversation)? {
        return Ok(());
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Err(Errno::SRCH) => Ok(()),
        sent => sent,
    }
}

/// Whether nobody is at the other end any more.
fn has_hung_up(conversation: &Conversation) -> Result<bool, Errno> {
    let mut set = [PollFd::from_borrowed_fd(conversation.as_fd(), PollFlags::empty())];
    poll(&mut set, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(set[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}
