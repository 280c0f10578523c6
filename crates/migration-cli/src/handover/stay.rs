//! The deploy that runs: stays in front of the backend, and launches what later ones ask for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use connection::Error;

use super::message::{Answer, PROTOCOL, Request};
use super::place::Place;
use crate::backend::front::Front;
use crate::backend::launch::Launch;
use crate::backend::process::Follower;
use crate::{hints, ui};

/// How often is looked for later deploys.
const LOOK: Duration = Duration::from_millis(100);
/// How long a later deploy may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than all variables of an environment.
const LONGEST_REQUEST: u64 = 16 * 1024 * 1024;
/// How often a later deploy is told what is waited for.
const TELL: Duration = Duration::from_secs(1);

/// Later deploys, as they come.
pub struct Orders(Option<Receiver<Order>>);

impl Orders {
    /// Listens for them at this place from now on. If that cannot be, it is said: the backend serves all the same.
    pub fn at(place: &Place) -> Self {
        match place.listen() {
            Ok(listener) => Self(Some(receive(listener))),
            Err(error) => {
                ui::warn(&format!(
                    "later deploys cannot hand over to a new backend, end this one before them: cannot listen for them: \
                     {error} (--meeting or XTASK_MEETING names another folder)"
                ));
                Self(None)
            }
        }
    }

    fn next(&self) -> Option<Order> {
        self.0.as_ref()?.try_recv().ok()
    }
}

/// Stays until the backend ends, or we are told to: the first signal lets it finish its open requests, a second kills it.
/// Gives the exit status of the backend.
///
/// # Errors
/// The system cannot tell how it ended.
pub fn stay(mut front: Front, orders: Orders) -> anyhow::Result<u8> {
    loop {
        if let Some(event) = front.event_within(LOOK) {
            return front.end(event);
        }
        if let Some(order) = orders.next() {
            order.carry_out(&mut front);
        }
    }
}

/// What a later deploy asks for.
struct Order {
    launch: Launch,
    /// The way back to it.
    stream: UnixStream,
    told: Option<Instant>,
}

impl Order {
    fn carry_out(mut self, front: &mut Front) {
        let launch = self.launch.clone();
        ui::say(&format!(
            "launching {}, which is to take over",
            launch.program().display()
        ));
        let answer = match front.hand_over(&launch, &mut self) {
            Ok(process) => {
                ui::say(&format!("process {process} has taken over"));
                Answer::Done { process }
            }
            Err(error) => {
                let (what, cause, next) = match error.downcast_ref::<Error>() {
                    Some(error) => (error.what.clone(), error.cause.clone(), error.next.text(hints::words)),
                    None => (format!("{error:#}"), String::new(), String::new()),
                };
                ui::warn(&format!("{what}; the backend before it goes on serving"));
                Answer::Failed { what, cause, next }
            }
        };
        self.answer(&answer);
    }

    /// Who has gone meanwhile is not told.
    fn answer(&mut self, answer: &Answer) {
        let _ = tell(&mut self.stream, answer);
    }
}

impl Follower for Order {
    fn waits(&mut self, reason: &str, since: Duration) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            let reason = reason.to_owned();
            self.answer(&Answer::Waiting { reason, since });
        }
    }

    /// Nothing more comes from it, but its end.
    fn is_there(&mut self) -> bool {
        let gone = matches!(self.stream.read(&mut [0; 16]), Ok(0));
        !gone
    }
}

/// Takes requests one after the other, in a thread.
fn receive(listener: UnixListener) -> Receiver<Order> {
    let (sender, orders) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            match read(&stream) {
                Ok(Some(launch)) => {
                    let order = Order {
                        launch,
                        stream,
                        told: None,
                    };
                    if sender.send(order).is_err() {
                        break;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let what = "the deploy that runs does not understand this one".to_owned();
                    let (cause, next) = (error.to_string(), "end it, and deploy again".to_owned());
                    let _ = tell(&mut &stream, &Answer::Failed { what, cause, next });
                }
            }
        }
    });
    orders
}

/// What is asked for; nothing by one that only looks whether somebody is there.
fn read(stream: &UnixStream) -> io::Result<Option<Launch>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST_REQUEST)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let request: Request =
        serde_json::from_slice(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if request.protocol != PROTOCOL {
        let cause = format!("it speaks protocol {PROTOCOL}, not {}", request.protocol);
        return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
    }
    // From now on it is only looked whether it is there.
    stream.set_nonblocking(true)?;
    Ok(Some(request.launch))
}

fn tell(stream: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever speaks another protocol is told so, and the next one is heard.
    #[test]
    fn nonsense_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _orders = receive(UnixListener::bind(&path).unwrap());
        drop(UnixStream::connect(&path).unwrap());
        for nonsense in ["{\"protocol\":1}\n", "\n", "GET / HTTP/1.1\n"] {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(nonsense.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.contains("does not understand"), "{nonsense}: {answer}");
        }
    }
}
