//! The console, in a real browser.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, Locator};
use serde_json::Value;

use crate::harness::browser::{Driver, picture};
use crate::harness::database::Database;
use crate::harness::deploy::{backend, free_address};
use crate::harness::raw::answer;
use crate::harness::xtask::{Xtask, workspace};
use crate::harness::{Context, wait};

tests![what_people_see, nothing_without_the_password];

const PASSWORD: &str = "a long password for the console";
const READER: &str = "reader-secret-8841";
const PATIENCE: Duration = Duration::from_secs(60);
const PAGES: [&str; 5] = [
    "/console",
    "/console/runs",
    "/console/runs/1",
    "/console/quarantine",
    "/console/sync",
];

/// A backend with a console, on a database of its own server's: `readonly_user` belongs to all of a server.
struct Service {
    child: Child,
    console: SocketAddr,
    database: Database,
}

impl Service {
    fn start(context: &Context) -> Self {
        let server = context.own_server(&[]);
        let database = Database::legacy(&server, "neglected");
        Xtask::migrate(&database)
            .env("POSTGRES_READONLY_PASSWORD", READER)
            .run()
            .ends(0);
        let console = free_address();
        let mut command = backend(free_address());
        let hash = hash(command.get_program().into());
        let child = command
            .env("DATABASE_URL", database.url())
            .env("POSTGRES_READONLY_PASSWORD", READER)
            .env("CONSOLE_ADDRESS", console.to_string())
            .env("CONSOLE_PASSWORD_HASH", hash)
            .env("CONSOLE_EXPECTED", workspace().join("sql/expected.json"))
            .spawn()
            .expect("the backend starts");
        wait::until("a console", PATIENCE, || std::net::TcpStream::connect(console).ok());
        Self {
            child,
            console,
            database,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.console)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hash(program: std::path::PathBuf) -> String {
    let shell = format!("printf '%s' '{PASSWORD}' | '{}' --hash-password", program.display());
    let output = Command::new("sh")
        .args(["-c", &shell])
        .stderr(Stdio::inherit())
        .output();
    let hash = String::from_utf8(output.expect("the backend starts").stdout).expect("text");
    hash.trim().to_owned()
}

fn nothing_without_the_password(context: &Context) {
    let service = Service::start(context);
    let ask = |method: &str, path: &str, rest: &str| answer(service.console, method, path, rest).1;
    for path in PAGES.iter().chain(&["/console/live"]) {
        let answer = ask("GET", path, "");
        assert!(answer.contains("location: /console/login"), "{path}: {answer}");
        let guess = ask("GET", path, "Cookie: console=0123456789abcdef\r\n");
        assert!(guess.contains("location: /console/login"), "{path}: {guess}");
    }
    for header in [
        "content-security-policy: default-src 'none'",
        "x-frame-options: DENY",
        "cache-control: no-store",
    ] {
        let answer = ask("GET", "/console/login", "");
        assert!(answer.contains(header), "{header}: {answer}");
    }
    let login = |password: &str, origin: &str| {
        let body = format!("password={}", password.replace(' ', "+"));
        let head = format!(
            "{origin}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        answer(service.console, "POST", "/console/login", &head)
    };
    assert_eq!(login(PASSWORD, "Origin: http://elsewhere\r\n").0, 403);
    let (_, let_in) = login(PASSWORD, "");
    assert!(let_in.contains("HttpOnly; SameSite=Strict"), "{let_in}");
    for _ in 0..5 {
        assert_eq!(login("not the password", "").0, 401);
    }
    let (status, throttled) = login(PASSWORD, "");
    assert!(status == 429 && throttled.contains("retry-after: "), "{throttled}");
}

fn what_people_see(context: &Context) {
    let Some(driver) = Driver::start() else {
        return context.skip("chromedriver is not installed (scripts/install-test-tools.sh installs it)");
    };
    let service = Service::start(context);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for dark in [false, true] {
            let browser = driver.browser(dark).await;
            look_around(&service, &browser, if dark { "dark" } else { "light" }).await;
            browser.close().await.expect("the browser ends");
        }
        let browser = driver.browser(false).await;
        log_in(&service, &browser).await;
        follows_what_happens(&service, &browser).await;
        many_runs(&service, &browser).await;
        log_out(&service, &browser).await;
        browser.close().await.expect("the browser ends");
    });
}

/// Not on the thread that the browser is waited for on: clients of PostgreSQL wait in a way of their own.
fn aside(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(work).join().expect("the work"));
}

async fn text(browser: &Client) -> String {
    let main: Element = browser.find(Locator::Id("main")).await.expect("a main part");
    main.text().await.expect("its text")
}

/// Waits until the page says something.
async fn says(browser: &Client, words: &str) {
    let start = std::time::Instant::now();
    loop {
        let said = match browser.find(Locator::Id("main")).await {
            Ok(main) => main.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        if said.contains(words) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "nothing says {words:?}:\n{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn enter(browser: &Client, password: &str) {
    let field = browser.find(Locator::Id("password")).await.expect("a field");
    // As from the keyboard: the Enter key sends the form.
    field.send_keys(&format!("{password}\u{e007}")).await.expect("keys");
}

async fn log_in(service: &Service, browser: &Client) {
    browser.goto(&service.url("/console")).await.expect("a page");
    enter(browser, PASSWORD).await;
    says(browser, "Where it shall be").await;
}

async fn run(browser: &Client, script: &str) -> Value {
    browser.execute(script, Vec::new()).await.expect(script)
}

async fn look_around(service: &Service, browser: &Client, scheme: &str) {
    browser.set_window_size(1280, 900).await.expect("a size");
    browser.goto(&service.url("/console")).await.expect("a page");
    assert!(browser.current_url().await.unwrap().path().ends_with("/login"));
    picture(browser, &format!("login-{scheme}")).await;
    enter(browser, "not the password").await;
    says(browser, "That is not the password").await;
    log_in(service, browser).await;
    for path in PAGES {
        browser.goto(&service.url(path)).await.expect("a page");
        let name = path.trim_start_matches("/console").trim_matches('/').replace('/', "-");
        let name = if name.is_empty() { "overview".to_owned() } else { name };
        // Our stylesheet is obeyed; a script in the page is not.
        let display = run(
            browser,
            "return getComputedStyle(document.querySelector('header')).display",
        )
        .await;
        assert_eq!(display, "flex", "{path}");
        let inline = "const s = document.createElement('script'); s.textContent = 'window.caught = 1';
            document.body.append(s); return window.caught ?? null";
        assert_eq!(
            run(browser, inline).await,
            Value::Null,
            "{path}: a script in the page ran"
        );
        let ground = run(browser, "return getComputedStyle(document.body).backgroundColor").await;
        let is_dark = ground.as_str().is_some_and(|ground| ground.contains("(21,"));
        assert_eq!(is_dark, scheme == "dark", "{path}: {ground}");
        // Nothing of a person who was set aside.
        assert!(!browser.source().await.unwrap().contains("@example.org"), "{path}");
        picture(browser, &format!("{name}-{scheme}")).await;
        browser.set_window_size(390, 844).await.expect("a size");
        let wider = run(
            browser,
            "return document.documentElement.scrollWidth - window.innerWidth",
        )
        .await;
        assert!(
            wider.as_i64().is_some_and(|wider| wider <= 0),
            "{path} is {wider} wider than a phone"
        );
        picture(browser, &format!("{name}-{scheme}-phone")).await;
        browser.set_window_size(1280, 900).await.expect("a size");
    }
    browser.goto(&service.url("/console/quarantine")).await.expect("a page");
    let said = text(browser).await;
    assert!(
        said.contains("public.attendees") && said.contains("06_constraints.sql"),
        "{said}"
    );
    browser.goto(&service.url("/console/runs/1")).await.expect("a page");
    assert!(text(browser).await.contains("CREATE TABLE"));
}

/// A page that is open shows a run that begins after it was opened, and what somebody breaks.
async fn follows_what_happens(service: &Service, browser: &Client) {
    browser.goto(&service.url("/console/runs")).await.expect("a page");
    assert!(!text(browser).await.contains("9 / "));
    let before = run(browser, "return document.querySelectorAll('tbody tr').length").await;
    aside(|| {
        service.database.psql("DROP INDEX idx_events_email");
        Xtask::migrate(&service.database).run().ends(0);
    });
    let grown = format!(
        "return document.querySelectorAll('tbody tr').length > {}",
        before.as_i64().expect("a number")
    );
    let start = std::time::Instant::now();
    while run(browser, &grown).await != Value::Bool(true) {
        assert!(start.elapsed() < PATIENCE, "the page does not follow");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    aside(|| service.database.psql("DROP INDEX idx_events_email"));
    let start = std::time::Instant::now();
    loop {
        browser.goto(&service.url("/console")).await.expect("a page");
        let said = text(browser).await;
        if said.contains("1 missing or different") && said.contains("index public.idx_events_email") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    picture(browser, "broken-light").await;
}

async fn many_runs(service: &Service, browser: &Client) {
    let many = "INSERT INTO migration.runs (tool_version, started, finished, outcome, statements_skipped)
        SELECT '0', now() - (10001 - n) * interval '1 minute', now() - (10001 - n) * interval '1 minute'
            + (50 + n % 97) * interval '1 ms', CASE WHEN n % 40 = 0 THEN 'failed' ELSE 'succeeded' END, 91
        FROM generate_series(1, 10000) AS n";
    aside(|| service.database.admin().batch_execute(many).expect(many));
    browser.goto(&service.url("/console/runs")).await.expect("a page");
    assert_eq!(
        run(browser, "return document.querySelectorAll('tbody tr').length").await,
        50
    );
    assert_eq!(
        run(browser, "return document.querySelectorAll('.chart rect').length").await,
        50
    );
    picture(browser, "runs-10000-light").await;
    let older = browser.find(Locator::LinkText("Older runs")).await.expect("a link");
    older.click().await.expect("a page");
    assert_eq!(
        run(browser, "return document.querySelectorAll('tbody tr').length").await,
        50
    );
    // From the keyboard: the first thing that has the focus leads past the navigation.
    browser.goto(&service.url("/console")).await.expect("a page");
    let body = browser.find(Locator::Css("body")).await.expect("a body");
    body.send_keys("\u{e004}").await.expect("a key");
    assert_eq!(run(browser, "return document.activeElement.className").await, "skip");
}

async fn log_out(service: &Service, browser: &Client) {
    let button = browser.find(Locator::Css("header button")).await.expect("a button");
    button.click().await.expect("a page");
    browser.goto(&service.url("/console/runs")).await.expect("a page");
    assert!(browser.current_url().await.unwrap().path().ends_with("/login"));
}
