//! Chromium, driven as a person would.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use super::server::free_port;
use super::wait;

const PATIENCE: Duration = Duration::from_secs(60);

/// The process between tests and browsers; it takes these along.
pub struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// Starts it; none where it is not installed.
    pub fn start() -> Option<Self> {
        let port = free_port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // With the browsers, which outlive it otherwise.
            .process_group(0)
            .spawn()
            .ok()?;
        wait::until("a driver that answers", PATIENCE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(Self { child, port })
    }

    /// A new browser, of a person who likes it light or dark.
    pub async fn browser(&self, dark: bool) -> Client {
        let scheme = format!("--blink-settings=preferredColorScheme={}", i32::from(!dark));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            &scheme,
        ];
        let capabilities: Capabilities = [("goog:chromeOptions".to_owned(), json!({ "args": arguments }))]
            .into_iter()
            .collect();
        ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .expect("a browser starts")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Keeps a picture of the page, if `XTASK_TEST_PICTURES` names a folder for them.
pub async fn picture(browser: &Client, name: &str) {
    if let Some(folder) = std::env::var_os("XTASK_TEST_PICTURES").map(PathBuf::from) {
        let png = browser.screenshot().await.expect("a picture");
        std::fs::create_dir_all(&folder).expect("writable");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("writable");
    }
}
