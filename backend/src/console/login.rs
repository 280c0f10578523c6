//! Who may come in: whoever knows the password, for a working day, and who guesses has to wait.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use axum::Form;
use axum::extract::State;
use axum::http::header::{COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Console, page};

/// How long a login lasts.
const LASTS: Duration = Duration::from_secs(8 * 3600);
/// So many wrong passwords within [`PERIOD`], from all addresses together: there is one password.
const WRONG: usize = 5;
const PERIOD: Duration = Duration::from_secs(60);
const COOKIE_NAME: &str = "console";
/// What a hash is at least made of.
const SHORTEST: usize = 12;

/// Lets people in.
pub(super) struct Doorkeeper {
    hash: String,
    sessions: Mutex<HashMap<String, Instant>>,
    wrong: Mutex<Vec<Instant>>,
    /// A hash takes time and memory: one after the other.
    checking: Semaphore,
}

#[derive(Deserialize)]
pub(super) struct Given {
    password: String,
}

/// A random text of so many bytes, in hexadecimal.
fn random<const N: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The hash of a password.
///
/// # Errors
/// It is too short, or the system gives no random numbers.
pub(super) fn hash_password_of(password: &str) -> anyhow::Result<String> {
    if password.chars().count() < SHORTEST {
        bail!("a password for the console has at least {SHORTEST} characters");
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let hashed = SaltString::encode_b64(&salt)
        .and_then(|salt| Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string()));
    hashed.map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doorkeeper {
    pub(super) fn new(hash: &str) -> Self {
        Self {
            hash: hash.to_owned(),
            sessions: Mutex::default(),
            wrong: Mutex::default(),
            checking: Semaphore::new(1),
        }
    }

    /// Whether a request comes from somebody who is in.
    pub(super) fn knows(&self, headers: &HeaderMap) -> bool {
        let mut sessions = locked(&self.sessions);
        sessions.retain(|_, until| *until > Instant::now());
        token(headers).is_some_and(|token| sessions.contains_key(token))
    }

    /// How long nobody may try, because too many have.
    fn wait(&self) -> Option<Duration> {
        let mut wrong = locked(&self.wrong);
        wrong.retain(|when| when.elapsed() < PERIOD);
        let first = wrong.first().filter(|_| wrong.len() >= WRONG)?;
        Some(PERIOD.saturating_sub(first.elapsed()))
    }

    async fn is_right(&self, password: String) -> bool {
        let Ok(_turn) = self.checking.acquire().await else {
            return false;
        };
        let hash = self.hash.clone();
        let verify = move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        };
        tokio::task::spawn_blocking(verify).await.unwrap_or_default()
    }

    fn forget(&self, headers: &HeaderMap) {
        if let Some(token) = token(headers) {
            locked(&self.sessions).remove(token);
        }
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

/// Whether a form was sent from a page of this very host; browsers say where from.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match text(ORIGIN) {
        None => true,
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == text(HOST),
    }
}

fn cookie(value: &str, seconds: u64) -> [(axum::http::HeaderName, String); 1] {
    let cookie = format!("{COOKIE_NAME}={value}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    [(SET_COOKIE, cookie)]
}

/// `GET /console/login`
pub(super) async fn form() -> Response {
    ask(StatusCode::OK, None)
}

fn ask(status: StatusCode, remark: Option<&str>) -> Response {
    let main = html! {
        form.login method="post" action="/console/login" {
            h1 { "Daydream Portal" }
            @if let Some(remark) = remark { p.bad role="alert" { (remark) } }
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required autofocus;
            button type="submit" { "Log in" }
        }
    };
    (status, page::bare("Log in", &main)).into_response()
}

/// `POST /console/login`
pub(super) async fn login(State(console): State<Console>, headers: HeaderMap, Form(given): Form<Given>) -> Response {
    let doorkeeper = &console.doorkeeper;
    if !is_own(&headers) {
        return ask(StatusCode::FORBIDDEN, Some("This form was sent from somewhere else."));
    }
    if let Some(wait) = doorkeeper.wait() {
        let seconds = wait.as_secs() + 1;
        let remark = format!("Too many wrong passwords. Try again in {seconds} seconds.");
        let answer = ask(StatusCode::TOO_MANY_REQUESTS, Some(&remark));
        return ([(RETRY_AFTER, seconds.to_string())], answer).into_response();
    }
    if !doorkeeper.is_right(given.password).await {
        locked(&doorkeeper.wrong).push(Instant::now());
        tracing::warn!("a wrong password for the console");
        return ask(StatusCode::UNAUTHORIZED, Some("That is not the password."));
    }
    let Ok(token) = random::<32>() else {
        return page::error(StatusCode::INTERNAL_SERVER_ERROR, "The system gives no random numbers.");
    };
    locked(&doorkeeper.sessions).insert(token.clone(), Instant::now() + LASTS);
    (cookie(&token, LASTS.as_secs()), Redirect::to("/console")).into_response()
}

/// `POST /console/logout`
pub(super) async fn logout(State(console): State<Console>, headers: HeaderMap) -> Response {
    if is_own(&headers) {
        console.doorkeeper.forget(&headers);
    }
    (cookie("", 0), Redirect::to("/console/login")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_is_right() {
        let doorkeeper = Doorkeeper::new(&hash_password_of("correct horse battery").unwrap());
        assert!(doorkeeper.is_right("correct horse battery".to_owned()).await);
        assert!(!doorkeeper.is_right("correct horse".to_owned()).await);
        assert!(hash_password_of("short").is_err());
    }

    #[test]
    fn forms_of_other_hosts_are_not_taken() {
        let headers = |pairs: &[(axum::http::HeaderName, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            pairs.collect::<HeaderMap>()
        };
        assert!(is_own(&headers(&[(HOST, "a:1"), (ORIGIN, "http://a:1")])));
        assert!(!is_own(&headers(&[(HOST, "a:1"), (ORIGIN, "http://b:1")])));
        assert!(!is_own(&headers(&[(HOST, "a:1"), (ORIGIN, "null")])));
        let cookies = headers(&[(COOKIE, "x=1; console=abc")]);
        assert_eq!(token(&cookies), Some("abc"));
    }
}
